#include "core/upstreams/zip_file.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>

#include "core/base/error.h"

namespace strata {
namespace {

// Signatures and sizes from PKWARE's APPNOTE 6.3; all numbers are little-endian.
constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50, kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kEnd64LocatorBytes = 20;
constexpr std::size_t kLongestComment = 65535;
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "see the zip64 field"

/// A file's bytes with checked reads.
class Bytes {
 public:
  Bytes(const fs::path& path, const MappedFile& file) : path_(path), data_(file.data(), file.size_bytes()) {}

  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(fmt::format("{}: not a valid zip archive: {}", path_.string(), message));
  }

  std::string_view view(std::uint64_t offset, std::uint64_t size, const char* what) const {
    if (offset > data_.size() || size > data_.size() - offset) {
      fail(fmt::format("{} at byte {} is past the end; is the file cut off?", what, offset));
    }
    return data_.substr(offset, size);
  }

  std::size_t size() const { return data_.size(); }

 private:
  fs::path path_;
  std::string_view data_;
};

/// Reads a number at `offset` of a view that is known to be long enough.
template <class Number>
Number number_at(std::string_view view, std::size_t offset) {
  Number value;
  std::memcpy(&value, view.data() + offset, sizeof value);
  return value;
}

struct Directory {
  std::uint64_t offset, entries;
};

Directory find_directory(const Bytes& bytes) {
  const std::size_t size = bytes.size();
  if (size < kEndBytes) bytes.fail(fmt::format("it has only {} bytes", size));
  std::size_t at = size - kEndBytes;
  const std::size_t lowest = at > kLongestComment ? at - kLongestComment : 0;
  while (number_at<std::uint32_t>(bytes.view(at, 4, "the end record"), 0) != kEnd) {
    if (at-- == lowest) bytes.fail("it has no end record; is the file cut off?");
  }
  const std::string_view end = bytes.view(at, kEndBytes, "the end record");
  const Directory plain{number_at<std::uint32_t>(end, 16), number_at<std::uint16_t>(end, 10)};
  if (at < kEnd64LocatorBytes) return plain;
  const std::string_view locator = bytes.view(at - kEnd64LocatorBytes, kEnd64LocatorBytes, "the zip64 locator");
  if (number_at<std::uint32_t>(locator, 0) != kEnd64Locator) return plain;
  const std::string_view end64 = bytes.view(number_at<std::uint64_t>(locator, 8), kEnd64Bytes, "the zip64 end record");
  if (number_at<std::uint32_t>(end64, 0) != kEnd64) bytes.fail("its zip64 end record is damaged");
  return {number_at<std::uint64_t>(end64, 48), number_at<std::uint64_t>(end64, 32)};
}

struct Member {
  std::string name;
  std::uint64_t size, stored_size, offset;
  std::size_t header_bytes;  // of its entry in the directory
};

// Replaces sizes and offset that the entry leaves to its zip64 field, where they stand in this order.
void read_zip64_field(const Bytes& bytes, std::string_view extra, Member* member) {
  while (extra.size() >= 4) {
    const auto id = number_at<std::uint16_t>(extra, 0);
    const std::size_t length = number_at<std::uint16_t>(extra, 2);
    if (length > extra.size() - 4) bytes.fail(fmt::format("member {}: its extra field is damaged", member->name));
    std::string_view field = extra.substr(4, length);
    extra.remove_prefix(4 + length);
    if (id != kZip64Field) continue;
    for (std::uint64_t* value : {&member->size, &member->stored_size, &member->offset}) {
      if (*value != kIn64) continue;
      if (field.size() < 8) bytes.fail(fmt::format("member {}: its zip64 field is too short", member->name));
      *value = number_at<std::uint64_t>(field, 0);
      field.remove_prefix(8);
    }
  }
}

Member read_entry(const Bytes& bytes, std::uint64_t at) {
  const std::string_view entry = bytes.view(at, kCentralBytes, "a directory entry");
  if (number_at<std::uint32_t>(entry, 0) != kCentralHeader)
    bytes.fail(fmt::format("its directory is damaged at byte {}", at));
  const std::size_t name_bytes = number_at<std::uint16_t>(entry, 28), extra_bytes = number_at<std::uint16_t>(entry, 30);
  const std::size_t comment_bytes = number_at<std::uint16_t>(entry, 32);
  Member member{std::string(bytes.view(at + kCentralBytes, name_bytes, "a member's name")),
                number_at<std::uint32_t>(entry, 24), number_at<std::uint32_t>(entry, 20),
                number_at<std::uint32_t>(entry, 42), kCentralBytes + name_bytes + extra_bytes + comment_bytes};
  read_zip64_field(bytes, bytes.view(at + kCentralBytes + name_bytes, extra_bytes, "an extra field"), &member);
  if (number_at<std::uint16_t>(entry, 8) & 1) bytes.fail(fmt::format("member {} is encrypted", member.name));
  if (number_at<std::uint16_t>(entry, 10) != 0 || member.size != member.stored_size) {
    bytes.fail(fmt::format("member {} is compressed; only stored members are read, as torch writes them", member.name));
  }
  return member;
}

std::string_view content_of(const Bytes& bytes, const Member& member) {
  const std::string_view header = bytes.view(member.offset, kLocalBytes, "a member's header");
  if (number_at<std::uint32_t>(header, 0) != kLocalHeader)
    bytes.fail(fmt::format("member {} has no header", member.name));
  const std::uint64_t skip = kLocalBytes + number_at<std::uint16_t>(header, 26) + number_at<std::uint16_t>(header, 28);
  return bytes.view(member.offset + skip, member.size, "a member's content");
}

}  // namespace

ZipFile::ZipFile(const fs::path& path) : map_(std::make_shared<MappedFile>(path)) {
  const Bytes bytes(path, *map_);
  const Directory directory = find_directory(bytes);
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Member member = read_entry(bytes, at);
    at += member.header_bytes;
    if (!members_.emplace(member.name, content_of(bytes, member)).second) {
      bytes.fail(fmt::format("member {} is there twice", member.name));
    }
  }
}

bool ZipFile::looks_like_one(const fs::path& path) {
  std::uint32_t signature = 0;
  std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(&signature), sizeof signature);
  return signature == kLocalHeader;
}

}  // namespace strata

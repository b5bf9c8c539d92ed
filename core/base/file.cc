#include "core/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file_group.h"

namespace strata {
namespace {

[[noreturn]] void fail(const char* operation, const fs::path& path) {
  throw FileError(fmt::format("{}: cannot {}: {}", path.string(), operation, std::strerror(errno)));
}

/// Makes a system call again while signals interrupt it; not without end, since a broken file system may say nothing else.
template <class Call>
auto uninterrupted(const Call& call) {
  constexpr int kTimes = 1000;
  auto result = call();
  for (int i = 0; result < 0 && errno == EINTR && i < kTimes; ++i) result = call();
  return result;
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, const char* operation)
      : fd_(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); })) {
    if (fd_ < 0) fail(operation, path);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

  void flush(const fs::path& path) const {
    if (uninterrupted([&] { return ::fsync(fd_); }) != 0) fail("flush", path);
  }
  /// Some file systems (NFS) say only here that the disk is full. It is closed whatever comes, so it is not tried
  /// again; what was flushed before is not lost by an interruption.
  void close(const fs::path& path) {
    if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) fail("close", path);
  }

 private:
  int fd_;
};

/// Flushes the folder that a path lies in, and with it the name.
void flush_folder_of(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Descriptor(folder, O_RDONLY | O_DIRECTORY, "open").flush(folder);
}

void write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t n = uninterrupted([&] { return ::write(fd, content.data(), content.size()); });
    if (n < 0) fail("write", path);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Small pieces are put together, large ones are written from where they are. Now and then what was written is sent on
/// its way to the disk, which so works before it is waited for. That is a hint: where it cannot be followed nothing is
/// wrong.
void write_pieces(int fd, const std::vector<std::string_view>& pieces, const fs::path& path) {
  constexpr std::size_t kLarge = 256 << 10, kSent = 2 << 20;
  std::size_t unsent = 0;
  const auto write = [&](std::string_view piece) {
    write_all(fd, piece, path);
    unsent += piece.size();
    if (unsent < kSent) return;
    ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    unsent = 0;
  };
  std::string small;
  const auto write_small = [&] {
    write(small);
    small.clear();
  };
  for (const std::string_view piece : pieces) {
    if (small.size() + piece.size() > kLarge) write_small();
    if (piece.size() > kLarge) {
      write(piece);
    } else {
      small += piece;
    }
  }
  write_small();
  ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

fs::path part_of(const fs::path& path) { return path.string() + ".part"; }

void rename_part(const fs::path& part, const fs::path& path) {
  if (::rename(part.c_str(), path.c_str()) != 0) fail("rename", part);
}

}  // namespace

std::string read_file(const fs::path& path) {
  Descriptor file(path, O_RDONLY, "open");
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = uninterrupted([&] { return ::read(file.get(), buffer, sizeof buffer); });
    if (n < 0) fail("read", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

void publish_file(const fs::path& part, const fs::path& path) {
  Descriptor file(part, O_RDWR, "open");
  file.flush(part);
  file.close(part);
  rename_part(part, path);
  flush_folder_of(path);
}

void write_files_atomically(const std::vector<FileContent>& files) {
  try {
    std::vector<Descriptor> parts;  // each is flushed by what wrote it, which is told of every error in between
    for (const FileContent& file : files) {
      if (file.path.has_parent_path()) make_folder(file.path.parent_path());
      const fs::path part = part_of(file.path);
      parts.emplace_back(part, O_WRONLY | O_CREAT | O_TRUNC, "create");
      write_pieces(parts.back().get(), file.pieces, part);
    }
    for (std::size_t f = files.size(); f-- > 0;) {
      parts[f].flush(part_of(files[f].path));
      parts[f].close(part_of(files[f].path));
    }
    for (const FileContent& file : files) rename_part(part_of(file.path), file.path);
    flush_folder_of(files.back().path);
  } catch (...) {
    for (const FileContent& file : files) ::unlink(part_of(file.path).c_str());
    throw;
  }
}

void write_file_atomically(const fs::path& path, std::string_view content) { write_files_atomically({{path, {content}}}); }

void make_folder(const fs::path& path) {
  std::error_code code;
  std::vector<fs::path> missing;
  for (fs::path p = path; !p.empty() && !fs::exists(p, code); p = p.parent_path()) missing.push_back(p);
  fs::create_directories(path, code);
  if (fs::is_directory(path)) {
    for (const fs::path& made : missing) flush_folder_of(made);
    return;
  }
  for (fs::path p = path; !p.empty() && p != p.root_path(); p = p.parent_path()) {
    std::error_code ignored;
    if (fs::exists(p, ignored) && !fs::is_directory(p, ignored)) {
      throw ConfigError(fmt::format("{}: cannot make this folder: {} is a file, not a folder", path.string(), p.string()));
    }
  }
  const std::string text = fmt::format("{}: cannot make this folder: {}", path.string(), code.message());
  // A full or broken disk is no fault of who named the folder.
  if (code == std::errc::no_space_on_device || code == std::errc::io_error || code.value() == EDQUOT) throw FileError(text);
  throw ConfigError(text);
}

std::uint64_t free_bytes(const fs::path& path) {
  fs::path p = fs::absolute(path);
  while (!fs::exists(p) && p.has_relative_path()) p = p.parent_path();
  return fs::space(p).available;
}

OpenFile::OpenFile(const fs::path& path) : path_(path) {
  Descriptor file(path, O_RDONLY, "open");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail("stat", path);
  identity_ = {status.st_dev, status.st_ino};
  size_bytes_ = static_cast<std::size_t>(status.st_size);
  fd_ = file.release();
}

OpenFile::~OpenFile() { ::close(fd_); }

void OpenFile::read(std::int64_t offset, std::span<char> to) const {
  while (!to.empty()) {
    const ssize_t n = uninterrupted([&] { return ::pread(fd_, to.data(), to.size(), offset); });
    if (n < 0) fail("read", path_);
    if (n == 0) throw FileError(fmt::format("{}: cannot read: it ends at byte {}", path_.string(), offset));
    to = to.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
}

MappedFile::MappedFile(const fs::path& path) : MappedFile(OpenFile(path)) {}

MappedFile::MappedFile(const OpenFile& file) : size_bytes_(file.size_bytes()) {
  if (size_bytes_ == 0) return;
  void* mapped = ::mmap(nullptr, size_bytes_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (mapped == MAP_FAILED && errno == ENOMEM) {
    throw FileError(
        fmt::format("{}: cannot map: no memory, or more mappings than the system allows a process "
                    "(vm.max_map_count)",
                    file.path().string()));
  }
  if (mapped == MAP_FAILED) fail("map", file.path());
  data_ = static_cast<const char*>(mapped);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_bytes_);
}

}  // namespace strata

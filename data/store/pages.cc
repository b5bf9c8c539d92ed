#include "data/store/pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <span>

namespace strata {
namespace {

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

/// The pages of a mapping that bytes lie in.
std::span<char> pages_of(const MappedFile& file, const ByteRange& range) {
  const std::int64_t within = range.offset % static_cast<std::int64_t>(page_bytes());
  return {const_cast<char*>(file.data() + (range.offset - within)), static_cast<std::size_t>(within + range.length)};
}

}  // namespace

void advise(const MappedFile& file, const ByteRange& range, int advice) {
  const std::span<char> pages = pages_of(file, range);
  ::madvise(pages.data(), pages.size(), advice);
}

void ask_for(const MappedFile& file, const ByteRange& range) {
  // Of what it is asked for at once Linux reads no more than a disk's read-ahead (128 KiB unless it is set) or its
  // largest request, whichever is more; the rest would come page by page.
  constexpr std::size_t kOnce = 128 << 10;
  for (std::span<char> pages = pages_of(file, range); !pages.empty();) {
    const std::size_t bytes = std::min(pages.size(), kOnce);
    ::madvise(pages.data(), bytes, MADV_WILLNEED);
    pages = pages.subspan(bytes);
  }
}

bool is_in_memory(const MappedFile& file, const ByteRange& range) {
  std::array<unsigned char, 1024> there;
  std::span<char> pages = pages_of(file, range);
  while (!pages.empty()) {
    const std::size_t bytes = std::min(pages.size(), there.size() * page_bytes());
    if (::mincore(pages.data(), bytes, there.data()) != 0) return false;
    const auto count = static_cast<std::ptrdiff_t>((bytes + page_bytes() - 1) / page_bytes());
    if (std::any_of(there.begin(), there.begin() + count, [](unsigned char page) { return (page & 1) == 0; }))
      return false;
    pages = pages.subspan(bytes);
  }
  return true;
}

bool tells_what_is_in_memory(const std::filesystem::path& path) {
  struct stat status {};
  return (::stat(path.c_str(), &status) == 0 && status.st_uid == ::geteuid()) ||
         ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

}  // namespace strata

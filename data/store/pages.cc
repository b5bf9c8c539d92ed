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

/// The pages of a mapping that bytes lie in.
std::span<char> pages_of(const MappedFile& file, const ByteRange& range) {
  static const std::int64_t page_bytes = ::sysconf(_SC_PAGESIZE);
  const std::int64_t within = range.offset % page_bytes;
  return {const_cast<char*>(file.data() + (range.offset - within)), static_cast<std::size_t>(within + range.length)};
}

}  // namespace

void advise(const MappedFile& file, const ByteRange& range, int advice) {
  const std::span<char> pages = pages_of(file, range);
  ::madvise(pages.data(), pages.size(), advice);
}

bool is_in_memory(const MappedFile& file, const ByteRange& range) {
  static const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::array<unsigned char, 1024> there;
  std::span<char> pages = pages_of(file, range);
  while (!pages.empty()) {
    const std::size_t bytes = std::min(pages.size(), there.size() * page_bytes);
    if (::mincore(pages.data(), bytes, there.data()) != 0) return false;
    const auto count = static_cast<std::ptrdiff_t>((bytes + page_bytes - 1) / page_bytes);
    if (std::any_of(there.begin(), there.begin() + count, [](unsigned char page) { return (page & 1) == 0; }))
      return false;
    pages = pages.subspan(bytes);
  }
  return true;
}

bool tells_what_is_in_memory(const fs::path& path) {
  struct stat status {};
  return (::stat(path.c_str(), &status) == 0 && status.st_uid == ::geteuid()) ||
         ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

}  // namespace strata

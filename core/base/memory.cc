#include <jemalloc/jemalloc.h>

#include <cstddef>
#include <limits>

/// A program that links this takes its memory from jemalloc, which keeps what is freed for ten seconds. The blocks of a
/// training step are megabytes, of other sizes in each step. glibc gives such blocks back to the system when they are
/// freed, and every page is faulted in again, which was seen to take half of the step's time; told to keep them, it
/// spent an eighth of the time of pre-training in looking for one that fits. Kept for ever, they grew to ten gigabytes.
extern "C" const char* malloc_conf = "dirty_decay_ms:10000,muzzy_decay_ms:10000,oversize_threshold:0";

namespace {

/// The arena of the main thread is made before the options are read, and jemalloc 5.3 leaves it the default of 8 MB,
/// from which on it gives back at once what is freed.
[[gnu::constructor]] void keep_large_blocks() {
  std::size_t threshold = std::numeric_limits<std::size_t>::max() / 2;
  mallctl("arena.0.oversize_threshold", nullptr, nullptr, &threshold, sizeof threshold);
}

}  // namespace

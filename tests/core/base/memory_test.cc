#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstddef>
#include <memory>
#include <thread>

namespace strata {
namespace {

/// Pages that the system gave to this process so far.
long pages_given() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

void write_all(volatile char* block, std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  for (std::size_t at = 0; at < bytes; at += kPage) block[at] = 1;
}

/// Pages that a block takes which comes after one of its size was freed.
long pages_taken_again(std::size_t bytes) {
  for (int i = 0; i < 3; ++i) write_all(std::make_unique_for_overwrite<char[]>(bytes).get(), bytes);
  const long before = pages_given();
  write_all(std::make_unique_for_overwrite<char[]>(bytes).get(), bytes);
  return pages_given() - before;
}

TEST(Memory, OfLargeBlocksIsKeptInEveryThread) {
  for (const std::size_t megabytes : {4, 20, 200}) {
    EXPECT_LT(pages_taken_again(megabytes << 20), 256) << megabytes;
    long elsewhere = 0;
    std::thread([&] { elsewhere = pages_taken_again(megabytes << 20); }).join();
    EXPECT_LT(elsewhere, 256) << megabytes;
  }
}

}  // namespace
}  // namespace strata

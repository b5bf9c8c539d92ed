#include "data/store/pages.h"

#include <ATen/ops/ones.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/base/file.h"
#include "data/store/shard.h"
#include "tests/folder.h"

namespace strata {
namespace {

constexpr std::int64_t kBytes = 10'000'000;  // pages for more than two questions

bool comes_to_memory(const MappedFile& file, const ByteRange& range) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (is_in_memory(file, range)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Nobody has read the holes of a file.
TEST(Pages, AreInMemoryOnceTheyWereRead) {
  const fs::path path = fresh_folder() / "file";
  std::ofstream(path).close();
  fs::resize_file(path, kBytes);
  const MappedFile file(path);
  EXPECT_TRUE(tells_what_is_in_memory(path));
  advise(file, {0, kBytes}, MADV_RANDOM);
  EXPECT_FALSE(is_in_memory(file, {0, kBytes}));
  EXPECT_FALSE(is_in_memory(file, {5000, 1}));
  int sum = 0;
  for (std::int64_t at = 0; at < kBytes / 2; at += 4096) sum += file.data()[at];
  EXPECT_EQ(sum, 0);
  EXPECT_TRUE(is_in_memory(file, {5000, 1}));
  EXPECT_TRUE(is_in_memory(file, {3, kBytes / 2 - 10}));
  EXPECT_FALSE(is_in_memory(file, {3, kBytes - 10}));
  EXPECT_FALSE(is_in_memory(file, {kBytes - 5, 5}));
}

TEST(Pages, AreToldOfOnlyToThoseWhoOwnOrMayWrite) {
  const fs::path path = fresh_folder() / "file";
  std::ofstream(path) << "x";
  fs::permissions(path, fs::perms::owner_read);
  EXPECT_TRUE(tells_what_is_in_memory(path));
  const pid_t child = ::fork();
  if (child == 0) {  // may read what is root's, but not write to it
    constexpr int kNobody = 65534;
    if (::geteuid() == 0 && (::setegid(kNobody) != 0 || ::seteuid(kNobody) != 0)) std::_Exit(2);
    std::_Exit(tells_what_is_in_memory("/etc/passwd") ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_NE(WEXITSTATUS(status), 1);  // 2: a root who cannot become another user, as in a sandbox
}

// More of them than a disk's read-ahead, which the system would cut one question to. In a folder in memory they are
// there before.
TEST(Pages, OfAnUtteranceComeWhenItIsAskedFor) {
  const fs::path path = fresh_folder() / "shard-00000.h5";
  const std::vector<Tap> taps = {{"h0", 768, 320}};
  std::vector<ShardUtterance> utterances;
  for (const char* id : {"a", "b", "c"}) utterances.push_back({id, 320, {at::ones({1000, 768})}});
  write_shard(path, taps, hdf5::StoredType::kFloat32, utterances, {});
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
  const ShardReader shard(path, taps, hdf5::StoredType::kFloat32);
  const MappedFile file(path);
  const std::int64_t row_bytes = 768 * sizeof(float), offset = shard.tap(0).frames.offset_bytes;
  shard.prefetch(0, 1);
  EXPECT_TRUE(comes_to_memory(file, {offset + 1000 * row_bytes, 1000 * row_bytes}));
  shard.read(0, 2);
  EXPECT_TRUE(comes_to_memory(file, {offset + 2000 * row_bytes, 1000 * row_bytes}));
}

}  // namespace
}  // namespace strata

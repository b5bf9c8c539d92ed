#include "data/store/pages.h"

#include <ATen/ops/ones.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "core/base/file.h"
#include "data/store/shard.h"
#include "tests/data/store/small_store.h"
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

TEST(Pages, AreToldOfOnlyToThoseWhoMayWrite) {
  const fs::path path = fresh_folder() / "file";
  std::ofstream(path) << "x";
  fs::permissions(path, fs::perms::owner_read);
  EXPECT_TRUE(tells_what_is_in_memory(path));  // it is ours
  EXPECT_FALSE(tells_what_is_in_memory(path.string() + "_not_there"));
}

// Where the disk is one: elsewhere they never leave it.
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
  shard.prefetch(0, 1);  // it is there
  shard.read(0, 2);
  EXPECT_TRUE(comes_to_memory(file, {offset + 2000 * row_bytes, 1000 * row_bytes}));
}

}  // namespace
}  // namespace strata

#include "data/store/verified.h"

#include <gmock/gmock.h>

#include <fstream>

#include "core/base/error.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::HasSubstr;

const std::vector<Tap> kTaps = {{"h0", 4, 320}};

class VerifiedTest : public testing::Test {
 protected:
  VerifiedTest() : folder_(fresh_folder()) { write_store(folder_, kTaps, "small", {utterance("a", kTaps, {5}), utterance("b", kTaps, {3})}); }

  ShardReader open() const { return ShardReader(path(), kTaps, hdf5::StoredType::kFloat32); }
  fs::path path() const { return folder_ / "small/shard-00000.h5"; }

  const fs::path folder_;
};

TEST_F(VerifiedTest, RemembersAShardUntilItChanges) {
  VerifiedShards verified(folder_ / "small");
  EXPECT_FALSE(verified.contains(open()));
  verified.add(open());
  EXPECT_TRUE(verified.contains(open()));
  verified.save();
  EXPECT_TRUE(VerifiedShards(folder_ / "small").contains(open()));
  fs::last_write_time(path(), fs::last_write_time(path()) + std::chrono::nanoseconds(1000));
  EXPECT_FALSE(VerifiedShards(folder_ / "small").contains(open()));
}

TEST_F(VerifiedTest, ABrokenRecordIsAnEmptyOne) {
  for (const char* text : {"", "{", "[1]", "{\"shard-00000.h5\": 3}"}) {
    write_file_atomically(folder_ / "small/verified.json", text);
    EXPECT_FALSE(VerifiedShards(folder_ / "small").contains(open())) << text;
  }
}

TEST_F(VerifiedTest, NamesADamagedShard) {
  require_whole(open());
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(open().tap(0).frames.offset_bytes + 5 * 4 * 4);
  file.put(1);
  file.close();
  EXPECT_THAT(error_of<DataError>([&] { require_whole(open()); }), HasSubstr("shard-00000.h5: the frames of 1 utterances do not have their checksums, the first \"b\""));
}

TEST_F(VerifiedTest, FramesOutliveTheirReader) {
  const at::Tensor frames = open().read(0, 1);
  EXPECT_TRUE(frames.equal(grid(3, 4)));
}

}  // namespace
}  // namespace strata

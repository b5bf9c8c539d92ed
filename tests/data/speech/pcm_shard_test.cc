#include "data/speech/pcm_shard.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> values(const at::Tensor& wave) {
  return {wave.const_data_ptr<float>(), wave.const_data_ptr<float>() + wave.numel()};
}

/// What is written in the tests: 3, 0 and 2 samples, and one that failed.
fs::path write_small(const fs::path& folder) {
  const fs::path path = folder / "pcm-00000.h5";
  write_pcm_shard(path, {{"c/a", {-32768, 16384, 1}}, {"c/nothing", {}}, {"c/b", {2, 3}}}, {{"c/bad", "no header"}});
  return path;
}

TEST(PcmShard, SamplesAreRoundedToTheNearestAndCut) {
  EXPECT_THAT(to_pcm({0.0f, 0.5f, -1.0f, 1.0f, -1.5f, 1.5f / 32768, 2.5f / 32768, -0.6f / 32768}),
              ElementsAre(0, 16384, -32768, 32767, -32768, 2, 2, -1));
}

TEST(PcmShard, ReadsWhatWasWritten) {
  const PcmShard shard(write_small(fresh_folder()));
  EXPECT_THAT(shard.ids(), ElementsAre("c/a", "c/nothing", "c/b"));
  EXPECT_EQ(shard.samples(0), 3);
  EXPECT_EQ(shard.samples(1), 0);
  EXPECT_THAT(values(shard.wave(0, 0, 3)), ElementsAre(-1.0f, 0.5f, 1.0f / 32768));
  EXPECT_THAT(values(shard.wave(0, 1, 1)), ElementsAre(0.5f));
  EXPECT_THAT(values(shard.wave(1, 0, 0)), ElementsAre());
  EXPECT_THAT(values(shard.wave(2, 1, 1)), ElementsAre(3.0f / 32768));
  EXPECT_THROW(shard.wave(2, 1, 2), InternalError);
  ASSERT_EQ(shard.failed().size(), 1U);
  EXPECT_EQ(shard.failed()[0].id, "c/bad");
  EXPECT_EQ(shard.failed()[0].reason, "no header");
}

TEST(PcmShard, EqualContentGivesEqualBytes) {
  const fs::path folder = fresh_folder();
  const std::string first = read_file(write_small(folder / "1"));
  EXPECT_TRUE(read_file(write_small(folder / "2")) == first);
}

TEST(PcmShard, DamageIsFound) {
  const fs::path path = write_small(fresh_folder());
  const std::string whole = read_file(path);
  int tables = 0, samples = 0;
  for (std::size_t at = 0; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    write_file_atomically(path, damaged);
    try {
      const PcmShard shard(path);
      for (std::size_t u = 0; u < 3; ++u) shard.wave(u, 0, shard.samples(u));
      ADD_FAILURE() << "byte " << at << " was changed and nobody noticed";
    } catch (const DataError& e) {
      (std::string(e.what()).find("utterance \"c/") != std::string::npos ? samples : tables) += 1;
    }
  }
  EXPECT_GT(tables, 100);
  EXPECT_GE(samples, 3);
  write_file_atomically(path, whole.substr(0, whole.size() - 1));
  EXPECT_THAT(error_of<DataError>([&] { PcmShard(fs::path(path)); }), HasSubstr("it is truncated or was changed"));
}

}  // namespace
}  // namespace strata

#include "data/store/corpus_plan.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

/// A store whose features take so many bytes a sample of audio.
StoreDescription of_bytes_per_sample(std::int64_t bytes) {
  StoreDescription d;
  d.spec.taps = {{"h0", bytes, 4}};
  return d;
}

std::vector<PlannedUtterance> utterances_of(const std::vector<std::int64_t>& samples) {
  std::vector<PlannedUtterance> planned;
  for (const std::int64_t n : samples) planned.push_back({"u" + std::to_string(planned.size()), n});
  return planned;
}

TEST(CorpusPlan, CutsInOrderAtTheSizeAskedFor) {
  CorpusPlan plan = CorpusPlan::load(fresh_folder() / "none");
  EXPECT_THAT(plan.shards(), IsEmpty());
  // 2 bytes a sample, 400 bytes a shard: a shard is closed once it has them.
  const auto added = plan.extend(utterances_of({100, 100, 1, 300, 5, 5}), of_bytes_per_sample(2), Json::array(), 400);
  ASSERT_EQ(added.size(), 3u);
  EXPECT_EQ(added[0].name, "shard-00000.h5");
  EXPECT_THAT(added[0].ids, ElementsAre("u0", "u1"));
  EXPECT_THAT(added[1].ids, ElementsAre("u2", "u3"));
  EXPECT_EQ(added[2].name, "shard-00002.h5");
  EXPECT_THAT(added[2].ids, ElementsAre("u4", "u5"));
}

TEST(CorpusPlan, PutsAtMost1024UtterancesIntoAShard) {
  CorpusPlan plan = CorpusPlan::load(fresh_folder());
  const auto added =
      plan.extend(utterances_of(std::vector<std::int64_t>(1025, 0)), of_bytes_per_sample(2), Json::array(), 400);
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0].ids.size(), 1024u);
}

// So that what is opened whole stays below the mappings that a process may have.
TEST(CorpusPlan, CutsByItselfSoThatThereAreNotTooManyShards) {
  constexpr std::int64_t kMiB = 1 << 20;
  const auto shards = [](std::size_t utterances, std::int64_t bytes) {
    CorpusPlan plan = CorpusPlan::load(fresh_folder());
    const std::vector<std::int64_t> samples(utterances, bytes);
    return plan.extend(utterances_of(samples), of_bytes_per_sample(1), Json::array(), 0).size();
  };
  EXPECT_EQ(shards(64, kMiB), 4u);               // of 16 MiB
  EXPECT_EQ(shards(16384, 32 * kMiB), 8192u);    // 512 GiB
  EXPECT_EQ(shards(16384, 256 * kMiB), 16384u);  // 4 TiB, of 256 MiB
  EXPECT_EQ(CorpusPlan::default_shard_bytes(0), 16 * kMiB);
}

TEST(CorpusPlan, PlansThoseAgainThatFailed) {
  CorpusPlan plan = CorpusPlan::load(fresh_folder());
  const auto utterances = utterances_of({10, 10, 10});
  const StoreDescription store = of_bytes_per_sample(1);
  plan.extend(utterances, store, Json::array(), 100);
  EXPECT_THAT(plan.extend(utterances, store, Json::array(), 100), IsEmpty());
  const FailedIds failed = {{"shard-00000.h5", {"u1", "u2"}}};
  auto again = plan.extend(utterances, store, Json::array(), 100, failed);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_THAT(again[0].ids, ElementsAre("u1", "u2"));
  EXPECT_EQ(again[0].generation, 1u);
  EXPECT_THAT(plan.extend(utterances, store, Json::array(), 100, failed), IsEmpty());
  again = plan.extend(utterances, store, Json::array(), 100,
                      {{"shard-00000.h5", {"u1", "u2"}}, {"shard-00001.h5", {"u2"}}});
  ASSERT_EQ(again.size(), 1u);
  EXPECT_THAT(again[0].ids, ElementsAre("u2"));
}

TEST(CorpusPlan, KeepsWhatIsPlannedAndAddsGenerations) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10, 10}), of_bytes_per_sample(1), Json::array(), 10);
  plan.save();
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json"));
  // New utterances come after, in a generation of their own, whatever their place in the manifest.
  const auto more = utterances_of({10, 10, 10, 10});
  const std::vector<PlannedUtterance> shuffled = {more[3], more[1], more[2], more[0]};
  plan.extend(shuffled, of_bytes_per_sample(1), Json::array(), 10);
  plan.save();
  const CorpusPlan again = CorpusPlan::load(folder);
  ASSERT_EQ(again.shards().size(), 4u);
  EXPECT_EQ(again.shards()[3].name, "shard-00003.h5");
  EXPECT_THAT(again.shards()[2].ids, ElementsAre("u3"));
  EXPECT_THAT(again.shards()[3].ids, ElementsAre("u2"));
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json", "generation-001.json"));

  CorpusPlan third = CorpusPlan::load(folder);
  EXPECT_THAT(third.extend(more, of_bytes_per_sample(1), Json::array(), 10), IsEmpty());
  third.save();
  EXPECT_EQ(names_in(folder).size(), 2u);
}

TEST(CorpusPlan, SavesAllThatWasAddedSinceTheLastTime) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10}), of_bytes_per_sample(1), Json::array(), 10);
  plan.extend(utterances_of({10, 10}), of_bytes_per_sample(1), Json::array(), 10);
  plan.save();
  plan.save();
  EXPECT_EQ(CorpusPlan::load(folder).shards().size(), 2u);
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json", "generation-001.json"));
}

std::vector<std::string> names_in_plan(const std::vector<ShardPlan>& shards) {
  std::vector<std::string> names;
  for (const ShardPlan& shard : shards) names.push_back(shard.name);
  return names;
}

StoreDescription of_taps(const std::vector<std::string>& names) {
  StoreDescription d;
  for (const std::string& name : names) d.spec.taps.push_back({name, 4, 320});
  return d;
}

TEST(CorpusPlan, PlansNewTapsForThoseThatLackThem) {
  const fs::path folder = fresh_folder();
  StoreDescription store = of_taps({"h0", "conv"});
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend({{"a", 100}, {"b", 100}}, store, Json::array(), 1);
  plan.save();
  store = of_taps({"h0", "h1", "conv"});
  // New utterances come first here: they lack all, the others h1 alone.
  plan.extend({{"c", 100}, {"a", 100}, {"d", 100}, {"b", 100}}, store, Json::array(), 1000);
  const auto& shards = plan.shards();
  ASSERT_EQ(shards.size(), 4u);
  EXPECT_EQ(shards[2].name, "shard-00002.h5");
  EXPECT_THAT(shards[2].ids, ElementsAre("c", "d"));
  EXPECT_THAT(shards[2].taps, ElementsAre("h0", "h1", "conv"));
  EXPECT_EQ(shards[2].generation, 1u);
  EXPECT_THAT(shards[3].ids, ElementsAre("a", "b"));
  EXPECT_THAT(shards[3].taps, ElementsAre("h1"));
  EXPECT_EQ(shards[3].generation, 2u);
  plan.save();
  EXPECT_THAT(CorpusPlan::load(folder).extend({{"a", 100}, {"d", 100}}, store, Json::array(), 1000), IsEmpty());

  // A run that ended between two generations goes on with the second, as if nothing had been.
  const std::string second = read_file(folder / "generation-002.json");
  fs::remove(folder / "generation-002.json");
  CorpusPlan again = CorpusPlan::load(folder);
  EXPECT_THAT(names_in_plan(again.extend({{"c", 100}, {"a", 100}, {"d", 100}, {"b", 100}}, store, Json::array(), 1000)),
              ElementsAre("shard-00003.h5"));
  again.save();
  EXPECT_EQ(read_file(folder / "generation-002.json"), second);
}

TEST(CorpusPlan, RefusesAudioThatIsTreatedOtherwise) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10}), of_bytes_per_sample(1), Json::array(), 10);
  plan.save();
  CorpusPlan later = CorpusPlan::load(folder);
  const Json gain = Json::array({{{"type", "gain"}}});
  EXPECT_EQ(error_of<ConfigError>([&] {
              later.extend(utterances_of({10, 20}), of_bytes_per_sample(1), gain, 10);
            }),
            folder.string() +
                ": the store treated this corpus' audio with [], the study asks for [{\"type\":\"gain\"}]; give the "
                "corpus another name");
}

TEST(CorpusPlan, RefusesABrokenFile) {
  const fs::path folder = fresh_folder();
  for (const char* content : {"{\"treatment\": [], \"shar", "[]", "{\"treatment\": [], \"shards\": [{\"name\": 3}]}"}) {
    write_file_atomically(folder / "generation-000.json", content);
    EXPECT_THAT(error_of<DataError>([&] { CorpusPlan::load(folder); }),
                StartsWith((folder / "generation-000.json").string() + ": not a valid extraction plan: "))
        << content;
  }
}

TEST(CorpusPlan, RefusesADamagedFile) {
  const fs::path folder = fresh_folder(), path = folder / "generation-000.json";
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10, 10, 10}), of_bytes_per_sample(1), Json::array(), 20);
  plan.save();
  std::string damaged = read_file(path);
  damaged.replace(damaged.find("u1"), 2, "u3");
  write_file_atomically(path, damaged);
  EXPECT_EQ(error_of<DataError>([&] { CorpusPlan::load(folder); }),
            path.string() +
                ": what it says does not have its checksum: it is damaged, or was changed by hand; put a "
                "copy of it back, or remove " +
                folder.string() + " and extract anew");
  Json older = Json::parse(damaged);
  older.erase("checksum");
  write_file_atomically(path, older.dump());
  EXPECT_EQ(CorpusPlan::load(folder).shards().at(0).ids, (std::vector<std::string>{"u0", "u3"}));
}

TEST(CorpusPlan, KnowsWhichShardsAreMissing) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10, 10, 10}), of_bytes_per_sample(1), Json::array(), 10);
  for (const char* file : {"shard-00001.h5", "shard-00001.json", "shard-00002.h5", "shard-00000.json"})
    write_file_atomically(folder / file, "");  // each is a shard only with its sidecar
  const auto missing = plan.missing();
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].name, "shard-00000.h5");
  EXPECT_EQ(missing[1].name, "shard-00002.h5");
}

}  // namespace
}  // namespace strata

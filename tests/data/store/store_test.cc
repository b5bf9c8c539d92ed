#include "data/store/store.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::StoredType;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 4, 320, false}};

StoreDescription description() {
  return {"hubert", "0123456789abcdef", StoredType::kFloat16, {kTaps, 400}, {{"model", "m"}}};
}

TEST(FeatureStore, ReadsWhatItWrote) {
  const fs::path folder = fresh_folder() / "store/hubert";
  FeatureStore::open_or_create(folder, description());
  const FeatureStore store = FeatureStore::open(folder);
  EXPECT_EQ(store.description().upstream, "hubert");
  EXPECT_EQ(store.description().fingerprint, "0123456789abcdef");
  EXPECT_EQ(store.description().type, StoredType::kFloat16);
  EXPECT_EQ(store.description().spec, (FeatureSpec{kTaps, 400}));
  EXPECT_EQ(store.description().provenance, (Json{{"model", "m"}}));
  EXPECT_EQ(store.corpus_folder("debian"), folder / "debian");
}

TEST(FeatureStore, KeepsItsProvenanceWhenOpenedAgain) {
  const fs::path folder = fresh_folder() / "hubert";
  FeatureStore::open_or_create(folder, description());
  StoreDescription later = description();
  later.provenance = {{"model", "elsewhere"}};
  EXPECT_EQ(FeatureStore::open_or_create(folder, later).description().provenance, (Json{{"model", "m"}}));
}

TEST(FeatureStore, SaysWhatDiffers) {
  const fs::path folder = fresh_folder() / "hubert";
  const std::string place = (folder / "store.json").string() + ": ";
  const std::string remedy = "; give the upstream another name or the study another store";
  FeatureStore::open_or_create(folder, description());
  const auto error = [&](const std::function<void(StoreDescription&)>& change) {
    StoreDescription other = description();
    change(other);
    return error_of<ConfigError>([&] { FeatureStore::open_or_create(folder, other); });
  };
  EXPECT_EQ(error([](auto& d) { d.fingerprint = "fedcba9876543210"; }),
            place +
                "the store was made by another upstream under the name \"hubert\" (fingerprint 0123456789ab there, "
                "fedcba987654 now); give this one another name or the study another store");
  EXPECT_EQ(error([](auto& d) { d.type = StoredType::kBFloat16; }),
            place + "the store holds float16, the study asks for bfloat16" + remedy);
  EXPECT_EQ(error([](auto& d) { d.spec.taps.pop_back(); }),
            place + "the store holds the taps h0, h1, the study asks for h0" + remedy);
  EXPECT_EQ(error([](auto& d) { d.spec.taps[0].width = 5; }),
            place +
                "the store's taps have other widths or frame rates than this Strata computes; extract it anew into "
                "another folder");
}

TEST(FeatureStore, RefusesWhatItCannotRead) {
  const fs::path folder = fresh_folder() / "hubert";
  const fs::path path = folder / "store.json";
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            folder.string() + ": there is no feature store here; run `strata extract` first");
  FeatureStore::open_or_create(folder, description());
  const Json good = read_json(path);
  const auto with = [&](const char* key, const Json& value) {
    Json changed = good;
    changed[key] = value;
    write_file_atomically(path, changed.dump());
  };
  with("format", 2);
  EXPECT_EQ(
      error_of<ConfigError>([&] { FeatureStore::open(folder); }),
      path.string() + ": the store has format 2, this Strata reads format 1; extract it anew into another folder");
  with("dtype", "int4");
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            path.string() + ": the store holds \"int4\", which this Strata cannot read");
  with("taps", 3);
  EXPECT_THAT(error_of<DataError>([&] { FeatureStore::open(folder); }),
              StartsWith(path.string() + ": not a valid store.json: "));
  write_file_atomically(path, "[]");
  EXPECT_THAT(error_of<DataError>([&] { FeatureStore::open(folder); }),
              StartsWith(path.string() + ": not a valid store.json: "));
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
  const auto added = plan.extend(utterances_of({100, 100, 1, 300, 5, 5}), 2.0, Json::array(), 400);
  ASSERT_EQ(added.size(), 3u);
  EXPECT_EQ(added[0].name, "shard-00000.h5");
  EXPECT_THAT(added[0].ids, ElementsAre("u0", "u1"));
  EXPECT_THAT(added[1].ids, ElementsAre("u2", "u3"));
  EXPECT_EQ(added[2].name, "shard-00002.h5");
  EXPECT_THAT(added[2].ids, ElementsAre("u4", "u5"));
}

TEST(CorpusPlan, PutsAtMost1024UtterancesIntoAShard) {
  CorpusPlan plan = CorpusPlan::load(fresh_folder());
  const auto added = plan.extend(utterances_of(std::vector<std::int64_t>(1025, 0)), 2.0, Json::array(), 400);
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0].ids.size(), 1024u);
}

TEST(CorpusPlan, KeepsWhatIsPlannedAndAddsGenerations) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10, 10}), 1.0, Json::array(), 10);
  plan.save();
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json"));
  // New utterances come after, in a generation of their own, whatever their place in the manifest.
  const auto more = utterances_of({10, 10, 10, 10});
  const std::vector<PlannedUtterance> shuffled = {more[3], more[1], more[2], more[0]};
  plan.extend(shuffled, 1.0, Json::array(), 10);
  plan.save();
  const CorpusPlan again = CorpusPlan::load(folder);
  ASSERT_EQ(again.shards().size(), 4u);
  EXPECT_EQ(again.shards()[3].name, "shard-00003.h5");
  EXPECT_THAT(again.shards()[2].ids, ElementsAre("u3"));
  EXPECT_THAT(again.shards()[3].ids, ElementsAre("u2"));
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json", "generation-001.json"));

  CorpusPlan third = CorpusPlan::load(folder);
  EXPECT_THAT(third.extend(more, 1.0, Json::array(), 10), IsEmpty());
  third.save();
  EXPECT_EQ(names_in(folder).size(), 2u);
}

TEST(CorpusPlan, SavesAllThatWasAddedSinceTheLastTime) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10}), 1.0, Json::array(), 10);
  plan.extend(utterances_of({10, 10}), 1.0, Json::array(), 10);
  plan.save();
  plan.save();
  EXPECT_EQ(CorpusPlan::load(folder).shards().size(), 2u);
  EXPECT_THAT(names_in(folder), ElementsAre("generation-000.json"));
}

TEST(CorpusPlan, RefusesAudioThatIsTreatedOtherwise) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10}), 1.0, Json::array(), 10);
  plan.save();
  CorpusPlan later = CorpusPlan::load(folder);
  const Json gain = Json::array({{{"type", "gain"}}});
  EXPECT_EQ(error_of<ConfigError>([&] {
              later.extend(utterances_of({10, 20}), 1.0, gain, 10);
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

TEST(CorpusPlan, KnowsWhichShardsAreMissing) {
  const fs::path folder = fresh_folder();
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend(utterances_of({10, 10, 10}), 1.0, Json::array(), 10);
  write_file_atomically(folder / "shard-00001.h5", "");
  const auto missing = plan.missing();
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].name, "shard-00000.h5");
  EXPECT_EQ(missing[1].name, "shard-00002.h5");
}

TEST(CorpusFeatures, FindsUtterancesInAllShards) {
  const fs::path folder = fresh_folder() / "fbank";
  const FeatureStore store =
      write_store(folder, kTaps, "debian", {utterance("a", kTaps, {5, 5}), utterance("b", kTaps, {3, 3})});
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("debian"));
  plan.extend({{"c", 10}, {"d", 10}}, 1.0, Json::array(), 1000);
  plan.save();
  write_shard(plan.folder() / "shard-00001.h5", kTaps, StoredType::kFloat32, {utterance("d", kTaps, {2, 2})},
              {{"c", "not audio"}});

  const CorpusFeatures features(store, "debian");
  EXPECT_EQ(features.size(), 3u);
  EXPECT_TRUE(features.contains("d"));
  EXPECT_FALSE(features.contains("c"));
  ASSERT_NE(features.failure("c"), nullptr);
  EXPECT_EQ(*features.failure("c"), "not audio");
  EXPECT_EQ(features.failure("a"), nullptr);
  EXPECT_EQ(features.frames("b", 1), 3);
  EXPECT_EQ(features.samples("d"), 640);
  EXPECT_TRUE(features.read("b", 0).equal(grid(3, 4)));
  EXPECT_EQ(error_of<DataError>([&] { features.read("c", 0); }),
            (folder / "debian").string() + ": no features of utterance \"c\"");
}

TEST(CorpusFeatures, SaysWhatIsMissing) {
  const fs::path folder = fresh_folder() / "fbank";
  const FeatureStore store = write_store(folder, kTaps, "debian", {utterance("a", kTaps, {5, 5})});
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "other"); }),
            (folder / "other").string() + ": no features here; run `strata extract` on this study first");
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("debian"));
  plan.extend({{"b", 10}}, 1.0, Json::array(), 1000);
  plan.save();
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "debian"); }),
            (folder / "debian").string() +
                ": 1 of 2 shards are missing, shard-00001.h5 first; run `strata extract` on this study again");
}

}  // namespace
}  // namespace strata

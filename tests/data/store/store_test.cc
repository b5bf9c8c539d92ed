#include "data/store/store.h"

#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <thread>

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

TEST(FeatureStore, IsPlannedWithoutBeingWritten) {
  const fs::path folder = fresh_folder() / "hubert";
  EXPECT_EQ(FeatureStore::planned(folder, description()).description(), description());
  EXPECT_FALSE(fs::exists(folder));
  StoreDescription first = description();
  first.spec.taps.pop_back();
  FeatureStore::open_or_create(folder, first);
  const FeatureStore planned = FeatureStore::planned(folder, description());
  EXPECT_EQ(planned.description().spec.taps.size(), 2u);
  EXPECT_EQ(FeatureStore::open(folder).description().spec.taps.size(), 1u);
  EXPECT_EQ(FeatureStore::open_or_create(folder, description()).description(), planned.description());
  EXPECT_EQ(FeatureStore::open(folder).description(), planned.description());
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
  with("format", 3);
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            path.string() +
                ": the store has format 3, this Strata reads formats 1 to 2; extract it anew into another folder");
  with("dtype", "int4");
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            path.string() + ": the store holds \"int4\", which this Strata cannot read");
  with("compression", "zip");
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            path.string() + ": the store holds \"zip\", which this Strata cannot read");
  with("taps", {{{"name", "h0"}, {"width", 0}, {"hop_samples", 320}, {"listed", true}}});
  EXPECT_EQ(error_of<DataError>([&] { FeatureStore::open(folder); }),
            path.string() + ": not a valid store.json: tap \"h0\" has no width or no frame rate");
  with("taps", {{{"name", "h0"}, {"width", std::int64_t{1} << 62}, {"hop_samples", 320}, {"listed", true}}});
  EXPECT_EQ(error_of<DataError>([&] { FeatureStore::open(folder); }),
            path.string() + ": not a valid store.json: tap \"h0\" has no width or no frame rate");
  with("taps", 3);
  EXPECT_THAT(error_of<DataError>([&] { FeatureStore::open(folder); }),
              StartsWith(path.string() + ": not a valid store.json: "));
  write_file_atomically(path, "[]");
  EXPECT_THAT(error_of<DataError>([&] { FeatureStore::open(folder); }),
              StartsWith(path.string() + ": not a valid store.json: "));
}

const std::vector<Tap> kUpstream = {{"h0", 4, 320}, {"h1", 4, 320}, {"h2", 4, 640}, {"conv", 3, 320, false}};

/// What a study says that lists these taps of kUpstream.
StoreDescription asked(const std::vector<std::string>& taps) {
  StoreDescription d = description();
  d.available = kUpstream;
  d.spec.taps.clear();
  for (const Tap& tap : kUpstream) {
    if (std::count(taps.begin(), taps.end(), tap.name) > 0) d.spec.taps.push_back(tap);
  }
  return d;
}

std::vector<std::string> names_in_spec(const FeatureSpec& spec) {
  std::vector<std::string> names;
  for (const Tap& tap : spec.taps) names.push_back(tap.name);
  return names;
}

TEST(FeatureStore, GrowsByTapsInTheUpstreamsOrder) {
  const fs::path folder = fresh_folder() / "hubert";
  FeatureStore::open_or_create(folder, asked({"h0", "conv"}));
  const FeatureStore grown = FeatureStore::open_or_create(folder, asked({"h2", "h1"}));
  EXPECT_THAT(names_in_spec(grown.description().spec), ElementsAre("h0", "h1", "h2", "conv"));
  EXPECT_THAT(grown.description().first_taps, ElementsAre("h0", "conv"));
  EXPECT_EQ(FeatureStore::open(folder).description(), grown.description());
  // What it has, or less, changes nothing.
  const std::string before = read_file(folder / "store.json");
  EXPECT_EQ(FeatureStore::open_or_create(folder, asked({"h1"})).description(), grown.description());
  EXPECT_EQ(read_file(folder / "store.json"), before);
}

TEST(FeatureStore, AStudySeesWhatItLists) {
  const fs::path folder = fresh_folder() / "hubert";
  FeatureStore store = FeatureStore::open_or_create(folder, asked({"conv", "h2"}));
  EXPECT_EQ(error_of<ConfigError>([&] { store.spec_of({}); }),
            folder.string() +
                ": the store has no tap \"h0\", it has h2, conv; run `strata extract` on this study, which adds it");
  store = FeatureStore::open_or_create(folder, asked({"h0", "h1", "h2"}));
  EXPECT_THAT(names_in_spec(store.spec_of({})), ElementsAre("h0", "h1", "h2"));
  EXPECT_THAT(names_in_spec(store.spec_of({"conv", "h1"})), ElementsAre("h1", "conv"));
  EXPECT_EQ(store.spec_of({"h1"}).receptive_field_samples, 400);
  // Had it been made at once, the study would see the same.
  const FeatureStore whole = FeatureStore::open_or_create(folder / "whole", asked({"h0", "h1", "h2", "conv"}));
  EXPECT_EQ(store.spec_of({}), whole.spec_of({}));
  EXPECT_EQ(store.description().spec, whole.description().spec);
  EXPECT_EQ(store.description().fingerprint, whole.description().fingerprint);
}

TEST(FeatureStore, AnotherCompressionIsForWhatComes) {
  const fs::path folder = fresh_folder() / "hubert";
  const FeatureStore store = FeatureStore::open_or_create(folder, description());
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("c"));
  plan.extend({{"a", 10}}, store.description(), Json::array(), 1000);
  plan.save();
  StoreDescription deflated = description();
  deflated.compression = hdf5::Compression::kDeflate;
  EXPECT_EQ(FeatureStore::open_or_create(folder, deflated).description().compression, hdf5::Compression::kDeflate);
  EXPECT_EQ(read_json(folder / "store.json")["compression"], "deflate");
  plan.extend({{"a", 10}, {"b", 10}}, deflated, Json::array(), 1000);
  plan.save();
  const CorpusPlan again = CorpusPlan::load(plan.folder());
  ASSERT_EQ(again.shards().size(), 2u);
  EXPECT_EQ(again.shards()[0].compression, hdf5::Compression::kNone);
  EXPECT_EQ(again.shards()[1].compression, hdf5::Compression::kDeflate);
}

/// A store as it was written before generations named their taps.
FeatureStore old_store(const fs::path& folder) {
  const FeatureStore store = write_store(folder, kTaps, "debian", {utterance("a", kTaps, {5, 5})});
  Json json = read_json(folder / "store.json"), plan = read_json(folder / "debian/generation-000.json");
  json["format"] = 1;
  json.erase("compression");
  plan.erase("taps");
  plan.erase("compression");
  write_file_atomically(folder / "store.json", json.dump());
  write_file_atomically(folder / "debian/generation-000.json", plan.dump());
  return FeatureStore::open(folder);
}

TEST(FeatureStore, OfFormat1IsReadAndGrows) {
  const fs::path folder = fresh_folder() / "old";
  FeatureStore store = old_store(folder);
  EXPECT_THAT(names_in_spec(store.spec_of({})), ElementsAre("h0"));  // h1 is not listed
  EXPECT_THAT(names_in_spec(store.spec_of({"h1"})), ElementsAre("h1"));
  EXPECT_TRUE(CorpusFeatures(store, "debian").read("a", 1).equal(grid(5, 4)));

  StoreDescription wider = store.description();
  wider.spec.taps = {{"h2", 2, 320}};
  store = FeatureStore::open_or_create(folder, wider);
  EXPECT_THAT(names_in_spec(store.description().spec), ElementsAre("h0", "h1", "h2"));
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("debian"));
  const auto added = plan.extend({{"a", 1600}}, store.description(), Json::array(), 1000);
  ASSERT_EQ(added.size(), 1u);
  EXPECT_THAT(added[0].taps, ElementsAre("h2"));
  plan.save();
  write_shard(plan.folder() / "shard-00001.h5", wider.spec.taps, StoredType::kFloat32,
              {utterance("a", wider.spec.taps, {5})}, {});
  const CorpusFeatures features(store, "debian");
  EXPECT_TRUE(features.read("a", 1).equal(grid(5, 4)));
  EXPECT_TRUE(features.read("a", 2).equal(grid(5, 2)));
}

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

TEST(CorpusPlan, PlansNewTapsForThoseThatLackThem) {
  const fs::path folder = fresh_folder();
  StoreDescription store = asked({"h0", "conv"});
  CorpusPlan plan = CorpusPlan::load(folder);
  plan.extend({{"a", 100}, {"b", 100}}, store, Json::array(), 1);
  plan.save();
  store = asked({"h0", "h1", "conv"});
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

TEST(CorpusFeatures, FindsUtterancesInAllShards) {
  const fs::path folder = fresh_folder() / "fbank";
  const FeatureStore store =
      write_store(folder, kTaps, "debian", {utterance("a", kTaps, {5, 5}), utterance("b", kTaps, {3, 3})});
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("debian"));
  plan.extend({{"c", 10}, {"d", 10}}, store.description(), Json::array(), 1000);
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

// No file stays open, and one mapping is all that a shard costs.
TEST(CorpusFeatures, OpensThousandsOfShardsWithFewFilesOpen) {
  constexpr std::size_t kShards = 3000;
  const FeatureStore store = FeatureStore::open_or_create(fresh_folder() / "hubert", description());
  const fs::path corpus = store.corpus_folder("c");
  CorpusPlan plan = CorpusPlan::load(corpus);
  plan.extend(utterances_of(std::vector<std::int64_t>(kShards, 320)), store.description(), Json::array(), 1);
  plan.save();
  ASSERT_EQ(plan.shards().size(), kShards);
  // Equal files but for the last: each of an utterance that could not be decoded, which only its sidecar names.
  const auto write = [&](const ShardPlan& shard, const std::vector<ShardUtterance>& utterances) {
    const std::vector<FailedUtterance> failed =
        utterances.empty() ? std::vector<FailedUtterance>{{shard.ids[0], "not audio"}} : std::vector<FailedUtterance>();
    write_shard(corpus / shard.name, kTaps, StoredType::kFloat16, utterances, failed);
  };
  const ShardPlan &first = plan.shards().front(), &last = plan.shards().back();
  write(first, {});
  write(last, {utterance(last.ids[0], kTaps, {5, 5}, StoredType::kFloat16)});
  Json sidecar = read_json(sidecar_path(corpus / first.name));
  for (std::size_t s = 1; s + 1 < kShards; ++s) {
    const ShardPlan& shard = plan.shards()[s];
    fs::create_hard_link(corpus / first.name, corpus / shard.name);
    sidecar["failed"][0]["id"] = shard.ids[0];
    std::ofstream(sidecar_path(corpus / shard.name)) << sidecar.dump();  // not flushed, as a store's would be
  }
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit few{64, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const CorpusFeatures features(store, "c");
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(features.shards().size(), kShards);
  EXPECT_EQ(features.size(), 1u);
  EXPECT_NE(features.failure("u1234"), nullptr);
  EXPECT_TRUE(features.read(last.ids[0], 1).equal(grid(5, 4, StoredType::kFloat16)));
}

/// A store that had h0 and h2 of "a" and "b" first, then h1 as well: of "a" too, and of the new "c".
class GrownStore : public testing::Test {
 protected:
  GrownStore() : folder_(fresh_folder() / "hubert") {
    FeatureStore store = FeatureStore::open_or_create(folder_, of({"h0", "h2"}));
    add(store, {{"a", 1600}, {"b", 960}});
    store = FeatureStore::open_or_create(folder_, of({"h0", "h1", "h2"}));
    add(store, {{"a", 1600}, {"c", 640}});
  }

  static StoreDescription of(const std::vector<std::string>& taps) {
    StoreDescription d = asked(taps);
    d.type = StoredType::kFloat32;
    return d;
  }

  void add(const FeatureStore& store, const std::vector<PlannedUtterance>& utterances) {
    CorpusPlan plan = CorpusPlan::load(store.corpus_folder("c"));
    for (const ShardPlan& shard : plan.extend(utterances, store.description(), Json::array(), 1 << 20)) {
      std::vector<ShardUtterance> computed;
      for (const std::string& id : shard.ids) computed.push_back({id, samples_of(id), {}});
      for (const Tap& tap : store.taps_of(shard)) {
        for (ShardUtterance& u : computed) u.features.push_back(frames_of(u.id, tap));
      }
      write_shard(plan.folder() / shard.name, store.taps_of(shard), StoredType::kFloat32, computed, {});
    }
    plan.save();
  }

  std::int64_t samples_of(const std::string& id) const { return id == "a" ? samples_of_a_ : id == "b" ? 960 : 640; }
  static at::Tensor frames_of(const std::string& id, const Tap& tap) {
    return grid(id == "a" ? 5 : 3, tap.width).add(tap.name[1] - '0');
  }

  std::int64_t samples_of_a_ = 1600;
  const fs::path folder_;
};

TEST_F(GrownStore, GivesTapsWhereverTheyAre) {
  const FeatureStore store = FeatureStore::open(folder_);
  const CorpusFeatures features(store, "c", store.spec_of({}).taps);
  EXPECT_EQ(features.shards().size(), 3u);
  for (const char* id : {"a", "c"}) {
    ASSERT_TRUE(features.contains(id));
    for (std::size_t t = 0; t < 3; ++t) {
      EXPECT_TRUE(features.read(id, t).equal(frames_of(id, kUpstream[t]))) << id << t;
      EXPECT_EQ(features.frames(id, t), frames_of(id, kUpstream[t]).size(0));
    }
  }
  EXPECT_EQ(features.samples("a"), 1600);
  // It was not in the manifest when h1 was added; extract adds it when it is again.
  EXPECT_FALSE(features.contains("b"));
  EXPECT_EQ(features.failure("b"), nullptr);
  EXPECT_EQ(features.size(), 2u);
}

TEST_F(GrownStore, OpensOnlyWhatIsWanted) {
  const FeatureStore store = FeatureStore::open(folder_);
  const CorpusFeatures first(store, "c", store.spec_of({"h2"}).taps);
  EXPECT_EQ(first.shards().size(), 2u);
  EXPECT_TRUE(first.contains("b"));
  EXPECT_TRUE(first.read("b", 0).equal(frames_of("b", kUpstream[2])));
  // A shard of other taps may be missing.
  fs::remove(folder_ / "c/shard-00001.h5");
  EXPECT_TRUE(CorpusFeatures(store, "c", store.spec_of({"h2"}).taps).contains("a"));
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "c", store.spec_of({"h1"}).taps); }),
            (folder_ / "c").string() +
                ": 1 of 2 shards are missing, shard-00001.h5 first; run `strata extract` on this study again");
}

TEST_F(GrownStore, RefusesTapsOfChangedAudio) {
  FeatureStore store = FeatureStore::open_or_create(folder_, of({"conv"}));
  samples_of_a_ = 1599;
  add(store, {{"a", 1600}, {"b", 960}, {"c", 640}});
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "c"); }),
            (folder_ / "c").string() +
                ": \"a\" has 1600 samples in shard-00001.h5 and 1599 in shard-00003.h5: its audio changed before its "
                "taps were added; extract it anew into another folder, or under another id");
  EXPECT_TRUE(CorpusFeatures(store, "c", store.spec_of({}).taps).contains("a"));
}

TEST_F(GrownStore, RefusesAPlanOfUnknownTaps) {
  Json json = read_json(folder_ / "store.json");
  json["taps"].erase(json["taps"].begin() + 1);
  write_file_atomically(folder_ / "store.json", json.dump());
  EXPECT_EQ(error_of<DataError>([&] { CorpusFeatures(FeatureStore::open(folder_), "c"); }),
            folder_.string() + ": the plan of shard-00001.h5 names the tap \"h1\", store.json does not");
}

const std::string kRemedy = "; `strata verify --repair` removes it, `strata extract` fills the hole";

/// A store of two corpora of two shards each, into which a pair of files is copied; and others of equal width and type,
/// with the same corpora and utterances.
class StrayShard : public testing::Test {
 protected:
  StrayShard() : folder_(fresh_folder()), path_(folder_ / "one/c/shard-00000.h5") {
    make_store("one", "0123456789abcdef", kTaps);
    make_store("other", "fedcba9876543210", kTaps);
    make_store("layers", "0123456789abcdef", {{"h0", 4, 320}, {"h2", 4, 320}});
  }

  void make_store(const std::string& name, const std::string& fingerprint, const std::vector<Tap>& taps) const {
    const FeatureStore store =
        FeatureStore::open_or_create(folder_ / name, {name, fingerprint, StoredType::kFloat32, {taps, 400}});
    for (const char* corpus : {"c", "d"}) {
      CorpusPlan plan = CorpusPlan::load(store.corpus_folder(corpus));
      for (const ShardPlan& shard : plan.extend({{"a", 1600}, {"b", 1600}}, store.description(), Json::array(), 1)) {
        write_shard(plan.folder() / shard.name, taps, StoredType::kFloat32, {utterance(shard.ids[0], taps, {5, 5})}, {},
                    hdf5::Compression::kNone, store.origin_of(corpus, shard.name));
      }
      plan.save();
    }
  }

  /// Puts another shard and its sidecar in the place of the first.
  void copy_here(const std::string& shard) const {
    fs::copy_file(folder_ / shard, path_, fs::copy_options::overwrite_existing);
    fs::copy_file(sidecar_path(folder_ / shard), sidecar_path(path_), fs::copy_options::overwrite_existing);
  }

  void change_sidecar(const fs::path& shard, const std::function<void(Json&)>& change) const {
    Json sidecar = read_json(sidecar_path(shard));
    change(sidecar);
    write_file_atomically(sidecar_path(shard), sidecar.dump());
  }

  std::size_t utterances() const { return CorpusFeatures(FeatureStore::open(folder_ / "one"), "c").size(); }
  std::string error() const {
    return error_of<DataError>([&] { utterances(); });
  }

  const fs::path folder_, path_;
};

TEST_F(StrayShard, IsNamedByWhatItBelongsTo) {
  EXPECT_EQ(utterances(), 2u);
  const std::string place = path_.string() + ": it is ", rest = ", which does not belong here" + kRemedy;
  copy_here("other/c/shard-00000.h5");
  EXPECT_EQ(error(),
            place + "shard-00000.h5 of the corpus \"c\" of another upstream (fingerprint fedcba987654)" + rest);
  copy_here("one/d/shard-00000.h5");
  EXPECT_EQ(error(), place + "shard-00000.h5 of the corpus \"d\" of this upstream" + rest);
  copy_here("one/c/shard-00001.h5");
  EXPECT_EQ(error(), place + "shard-00001.h5 of the corpus \"c\" of this upstream" + rest);
  copy_here("layers/c/shard-00000.h5");
  EXPECT_THAT(error(), StartsWith(path_.string() + ": HDF5 cannot open taps/h1/frames: "));
}

// Their sidecars say nothing of what they belong to.
TEST_F(StrayShard, OfAnOlderVersionIsKnownByItsUtterances) {
  const fs::path second = folder_ / "one/c/shard-00001.h5";
  for (const fs::path& shard : {path_, second})
    change_sidecar(shard, [](Json& sidecar) { sidecar.erase("belongs_to"); });
  EXPECT_EQ(utterances(), 2u);
  EXPECT_FALSE(ShardReader(path_, kTaps, StoredType::kFloat32).origin());
  copy_here("one/c/shard-00001.h5");
  EXPECT_EQ(error(), path_.string() + ": its 1 utterances are not the 1 that were planned for it" + kRemedy);
}

TEST_F(StrayShard, MayNotHaveADamagedRecord) {
  const fs::path sidecar = sidecar_path(path_);
  const std::string whole = read_file(sidecar);
  for (const char* key : {"fingerprint", "corpus", "shard", "checksum"}) {
    change_sidecar(path_, [&](Json& json) { json["belongs_to"][key] = "changed"; });
    EXPECT_EQ(error(), sidecar.string() +
                           ": what it says that the shard belongs to does not have its checksum; the file is damaged. "
                           "`strata verify --repair` removes it, `strata extract` fills the hole")
        << key;
    write_file_atomically(sidecar, whole);
    change_sidecar(path_, [&](Json& json) { json["belongs_to"].erase(key); });
    EXPECT_THAT(error(), StartsWith(sidecar.string() + ": not a valid sidecar of a shard: ")) << key;
    write_file_atomically(sidecar, whole);
  }
}

// Of one CorpusFeatures, and into buffers of their own: what one thread reads.
TEST(CorpusFeatures, IsReadByThreadsAtOnce) {
  const std::vector<Tap> taps = {{"h0", 64, 320}, {"h1", 5, 320}};
  const fs::path folder = fresh_folder();
  for (const std::string& name : hdf5::stored_type_names()) {
    for (const auto compression : {hdf5::Compression::kNone, hdf5::Compression::kDeflate}) {
      const StoredType type = hdf5::stored_type(name);
      std::vector<ShardUtterance> utterances;
      for (std::int64_t u = 0; u < 60; ++u) {
        utterances.push_back({"u" + std::to_string(u), 320, {}});
        for (const Tap& tap : taps) utterances.back().features.push_back(grid(1 + u % 40, tap.width, type).add(u));
      }
      const FeatureStore store =
          write_store(folder / (name + "_" + hdf5::name_of(compression)), taps, "c", utterances, type);
      write_shard(store.corpus_folder("c") / "shard-00000.h5", taps, type, utterances, {}, compression);
      const CorpusFeatures features(store, "c");
      ASSERT_EQ(features.shards()[0]->compression(), compression);
      std::vector<at::Tensor> alone;
      for (const ShardUtterance& u : utterances) {
        for (std::size_t t = 0; t < taps.size(); ++t) alone.push_back(features.read(u.id, t).to(at::kFloat));
      }
      std::atomic<int> same = 0;
      const auto read_all = [&] {
        auto expected = alone.begin();
        for (const ShardUtterance& u : utterances) {
          for (std::size_t t = 0; t < taps.size(); ++t, ++expected) {
            const at::Tensor buffer = at::empty(expected->sizes(), at::kFloat);
            features.read_into(u.id, t, buffer);
            same += buffer.equal(*expected) && features.read(u.id, t).to(at::kFloat).equal(*expected) ? 1 : 0;
          }
        }
      };
      std::vector<std::thread> threads;
      for (int i = 0; i < 8; ++i) threads.emplace_back(read_all);
      for (std::thread& thread : threads) thread.join();
      EXPECT_EQ(same.load(), 8 * static_cast<int>(alone.size())) << name << " " << hdf5::name_of(compression);
      EXPECT_THAT(error_of<ShapeError>([&] {
                    features.read_into("u3", 0, at::empty({5, 64}, at::kFloat));
                  }),
                  testing::HasSubstr("utterance \"u3\": expected a buffer [4 or fewer, 64] Float"));
    }
  }
}

TEST(CorpusFeatures, SaysWhatIsMissing) {
  const fs::path folder = fresh_folder() / "fbank";
  const FeatureStore store = write_store(folder, kTaps, "debian", {utterance("a", kTaps, {5, 5})});
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "other"); }),
            (folder / "other").string() + ": no features here; run `strata extract` on this study first");
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("debian"));
  plan.extend({{"b", 10}}, store.description(), Json::array(), 1000);
  plan.save();
  EXPECT_EQ(error_of<ConfigError>([&] { CorpusFeatures(store, "debian"); }),
            (folder / "debian").string() +
                ": 1 of 2 shards are missing, shard-00001.h5 first; run `strata extract` on this study again");
}

}  // namespace
}  // namespace strata

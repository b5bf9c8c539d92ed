#include "data/store/store.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/corpus_features.h"
#include "data/store/json_seal.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::StoredType;
using testing::ElementsAre;
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
    write_file_atomically(path, sealed(changed));
  };
  with("format", 4);
  EXPECT_EQ(error_of<ConfigError>([&] { FeatureStore::open(folder); }),
            path.string() +
                ": the store has format 4, this Strata reads formats 1 to 3; extract it anew into another folder");
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

TEST(FeatureStore, RefusesADamagedDescription) {
  const fs::path folder = fresh_folder() / "hubert", path = folder / "store.json";
  FeatureStore::open_or_create(folder, description());
  const std::string whole = read_file(path);
  std::string damaged = whole;  // a bit, and what it says is as valid as before
  damaged.replace(damaged.find("320"), 3, "330");
  write_file_atomically(path, damaged);
  EXPECT_EQ(error_of<DataError>([&] { FeatureStore::open(folder); }),
            path.string() +
                ": what it says does not have its checksum: it is damaged, or was changed by hand; put a "
                "copy of it back, or remove " +
                folder.string() + " and extract anew");
  for (const std::size_t at : {whole.find("\"format\": 3") + 10, whole.find('{', 1)}) {  // told before what follows
    damaged = whole;
    damaged.at(at) ^= 4;
    write_file_atomically(path, damaged);
    EXPECT_THAT(error_of<DataError>([&] { FeatureStore::open(folder); }),
                StartsWith(path.string() + ": what it says does not have its checksum: "))
        << damaged;
  }
  Json unsealed = Json::parse(whole);
  unsealed.erase("checksum");
  write_file_atomically(path, unsealed.dump());
  EXPECT_EQ(error_of<DataError>([&] { FeatureStore::open(folder); }),
            path.string() +
                ": what it says does not have its checksum: it is damaged, or was changed by hand; put a "
                "copy of it back, or remove " +
                folder.string() + " and extract anew");
  unsealed["format"] = 2;  // which had none
  write_file_atomically(path, unsealed.dump());
  EXPECT_EQ(FeatureStore::open(folder).description(), description());
  FeatureStore::open_or_create(folder, description());
  EXPECT_EQ(read_file(path), whole);
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
  for (const char* key : {"compression", "checksum"}) json.erase(key);
  for (const char* key : {"taps", "compression", "checksum"}) plan.erase(key);
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

}  // namespace
}  // namespace strata

#include "data/store/corpus_features.h"

#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
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
using testing::StartsWith;

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 4, 320, false}};
const std::vector<Tap> kUpstream = {{"h0", 4, 320}, {"h1", 4, 320}, {"h2", 4, 640}, {"conv", 3, 320, false}};

StoreDescription description(StoredType type, const std::vector<Tap>& taps) {
  return {"hubert", "0123456789abcdef", type, {taps, 400}};
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
  const FeatureStore store =
      FeatureStore::open_or_create(fresh_folder() / "hubert", description(StoredType::kFloat16, kTaps));
  const fs::path corpus = store.corpus_folder("c");
  CorpusPlan plan = CorpusPlan::load(corpus);
  std::vector<PlannedUtterance> utterances;
  for (std::size_t u = 0; u < kShards; ++u) utterances.push_back({"u" + std::to_string(u), 320});
  plan.extend(utterances, store.description(), Json::array(), 1);
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
    StoreDescription d = description(StoredType::kFloat32, {});
    d.available = kUpstream;
    for (const Tap& tap : kUpstream) {
      if (std::ranges::count(taps, tap.name) > 0) d.spec.taps.push_back(tap);
    }
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
  StoreDescription d = FeatureStore::open(folder_).description();
  d.spec.taps.erase(d.spec.taps.begin() + 1);
  write_description(d, folder_ / "store.json");
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

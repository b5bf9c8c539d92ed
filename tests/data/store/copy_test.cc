#include "data/store/copy.h"

#include <gmock/gmock.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/corpus_features.h"
#include "data/store/strip.h"
#include "data/store/verified.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

const std::vector<Tap> kTaps = {{"h0", 3, 320}, {"h1", 2, 640}};

/// A store of two corpora with two shards each.
class Copy : public testing::Test {
 protected:
  Copy() : work_(fresh_folder()), store_(FeatureStore::open_or_create(from(), {"hubert", "f", {}, {kTaps, 400}})) {
    for (const char* corpus : {"c", "d"}) {
      CorpusPlan plan = CorpusPlan::load(store_.corpus_folder(corpus));
      plan.extend({{"u1", 320}, {"u2", 320}}, store_.description(), Json::array(), 1);
      plan.save();
      for (const ShardPlan& shard : plan.shards())
        write_shard(plan.folder() / shard.name, kTaps, {}, {utterance(shard.ids[0], kTaps, {4, 2})}, {},
                    hdf5::Compression::kNone, store_.origin_of(corpus, shard.name));
    }
    write_file_atomically(from() / "c/verified.json", "{}");
    write_file_atomically(from() / "compute.json", "{\"compute\": \"bfloat16\"}");
  }

  fs::path from() const { return work_ / "from" / "hubert"; }
  fs::path to() const { return work_ / "to" / "hubert"; }

  void expect_whole(const fs::path& folder, const std::string& corpus) const {
    const FeatureStore store = FeatureStore::open(folder);
    const CorpusFeatures features(store, corpus);
    EXPECT_EQ(features.size(), 2u);
    for (const auto& shard : features.shards()) {
      EXPECT_THAT(shard->verify(), IsEmpty());
      const fs::path original = from() / corpus / shard->path().filename();
      if (fs::exists(original)) EXPECT_TRUE(read_file(shard->path()) == read_file(original));
    }
  }

  fs::path work_;
  FeatureStore store_;
};

TEST_F(Copy, SaysWhatItWouldDo) {
  const CopyForecast forecast = forecast_copy(store_, to(), {});
  EXPECT_EQ(forecast.shards, 4);
  EXPECT_EQ(forecast.shards_there, 0);
  std::int64_t bytes = 0;
  for (const char* shard : {"c/shard-00000", "c/shard-00001", "d/shard-00000", "d/shard-00001"}) {
    for (const char* type : {".h5", ".json"})
      bytes += static_cast<std::int64_t>(fs::file_size((from() / shard) += type));
  }
  EXPECT_EQ(forecast.bytes, bytes);
  EXPECT_FALSE(fs::exists(work_ / "to"));
}

TEST_F(Copy, IsTheSameStore) {
  const CopyForecast done = copy_store(store_, to(), {});
  EXPECT_EQ(done.shards, 4);
  expect_whole(to(), "c");
  expect_whole(to(), "d");
  EXPECT_EQ(read_file(to() / "store.json"), read_file(from() / "store.json"));
  EXPECT_EQ(read_file(to() / "compute.json"), read_file(from() / "compute.json"));
  EXPECT_FALSE(fs::exists(to() / "c/verified.json"));  // of files that are not there
  EXPECT_EQ(copy_store(store_, to(), {}).shards, 0);
}

TEST_F(Copy, TakesTheCorporaThatAreWanted) {
  copy_store(store_, to(), {"d"});
  expect_whole(to(), "d");
  EXPECT_FALSE(fs::exists(to() / "c"));
  copy_store(store_, to(), {"c"});
  expect_whole(to(), "c");
  EXPECT_EQ(error_of<ConfigError>([&] { forecast_copy(store_, to(), {"e"}); }),
            from().string() + ": the store has no corpus \"e\"");
}

TEST_F(Copy, ContinuesAndReplacesWhatIsNotWhole) {
  copy_store(store_, to(), {});
  fs::remove(to() / "c/shard-00001.h5");            // as if killed between a sidecar and its shard
  fs::resize_file(to() / "d/shard-00000.h5", 100);  // by whatever
  const CopyForecast done = copy_store(store_, to(), {});
  EXPECT_EQ(done.shards, 2);
  EXPECT_EQ(done.shards_there, 2);
  expect_whole(to(), "c");
  expect_whole(to(), "d");
}

/// Changes a frame; size, sidecar and tables stay.
void damage_frames(const fs::path& shard) {
  std::string content = read_file(shard);
  const Json sidecar = read_json(sidecar_path(shard));
  content[sidecar["frame_data"][0][0].get<std::size_t>()] ^= 1;
  write_file_atomically(shard, content);
}

TEST_F(Copy, CopiesAgainWhatWasDamagedThere) {
  copy_store(store_, to(), {});
  damage_frames(to() / "c/shard-00001.h5");
  EXPECT_EQ(forecast_copy(store_, to(), {}).shards, 0);  // frames are not read for a forecast
  const CopyForecast done = copy_store(store_, to(), {});
  EXPECT_EQ(done.shards, 1);
  EXPECT_EQ(done.shards_there, 3);
  expect_whole(to(), "c");
}

// While store.json is there a killed move is one that the same command continues.
TEST_F(Copy, IsAMoveWhoseStoreJsonGoesLast) {
  copy_store(store_, to(), {});
  fs::remove(from() / "c/shard-00000.h5");  // as if killed there
  fs::remove(from() / "c/shard-00000.json");
  EXPECT_EQ(copy_store(store_, to(), {}).shards_there, 3);
  const int removals = ::inotify_init1(IN_CLOEXEC);
  ASSERT_GE(::inotify_add_watch(removals, from().c_str(), IN_DELETE), 0);
  remove_copied(store_, {});
  EXPECT_FALSE(fs::exists(from()));
  alignas(inotify_event) char buffer[4096];
  const ssize_t length = ::read(removals, buffer, sizeof buffer);
  ::close(removals);
  std::vector<std::string> names;
  for (ssize_t at = 0; at < length;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    if (event->len > 0) names.emplace_back(event->name);
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  EXPECT_THAT(names, ElementsAre("c", "d", "compute.json", "store.json"));
  expect_whole(to(), "c");
  expect_whole(to(), "d");
}

// A job from which a store was taken, since it had slept too long, does no more to it.
TEST_F(Copy, ChangesNothingOnceItIsRefused) {
  int refusals = 0;
  for (bool refused = true; refused; ++refusals) {
    const fs::path work = work_.string() + std::to_string(refusals), source = work / "from/hubert";
    fs::copy(work_, work, fs::copy_options::recursive);
    std::map<std::string, std::string> left;
    int asked = 0;
    const BeforeChange refuse_later = [&] {
      if (asked++ < refusals) return;
      left = contents_of(work);
      throw DataError("taken");
    };
    refused = false;
    try {
      copy_store(FeatureStore::open(source), work / "to/hubert", {}, refuse_later);
      remove_copied(FeatureStore::open(source), {}, refuse_later);
      EXPECT_FALSE(fs::exists(source));
    } catch (const DataError& e) {
      refused = true;
      EXPECT_EQ(std::string(e.what()), "taken");
      EXPECT_TRUE(contents_of(work) == left) << refusals;
    }
    fs::remove_all(work);
  }
  EXPECT_GE(refusals, 15);  // 4 tables and 4 shards are copied; 4 shards, the plans twice and the rest are removed
}

TEST_F(Copy, IsAMoveOfTheCorporaThatAreWanted) {
  copy_store(store_, to(), {"d"});
  remove_copied(store_, {"d"});
  EXPECT_FALSE(fs::exists(from() / "d"));
  expect_whole(from(), "c");
  expect_whole(to(), "d");
}

TEST_F(Copy, LacksTheShardsThatTheStoreLacks) {
  fs::remove(from() / "c/shard-00000.h5");
  EXPECT_EQ(copy_store(store_, to(), {}).shards, 3);
  const CorpusPlan plan = CorpusPlan::load(to() / "c");
  ASSERT_EQ(plan.missing().size(), 1u);
  EXPECT_EQ(plan.missing()[0].name, "shard-00000.h5");
}

TEST_F(Copy, DoesNotSpreadDamage) {
  const fs::path shard = from() / "c/shard-00001.h5";
  damage_frames(shard);
  EXPECT_THAT(error_of<DataError>([&] { copy_store(store_, to(), {}); }), StartsWith(shard.string() + ": "));
  EXPECT_FALSE(fs::exists(to() / "c/shard-00001.h5"));
}

TEST_F(Copy, DoesNotSpreadWhatBelongsElsewhere) {
  for (const char* type : {".h5", ".json"}) {
    fs::copy_file((from() / "d/shard-00000") += type, (from() / "c/shard-00000") += type,
                  fs::copy_options::overwrite_existing);
  }
  EXPECT_THAT(
      error_of<DataError>([&] { copy_store(store_, to(), {}); }),
      StartsWith((from() / "c/shard-00000.h5").string() + ": it is shard-00000.h5 of the corpus \"d\" of this "));
  EXPECT_FALSE(fs::exists(to() / "c/shard-00000.h5"));
}

TEST_F(Copy, WaitsForAStripToBeComplete) {
  fs::create_directories(from() / "d/stripped");
  EXPECT_THAT(error_of<ConfigError>([&] { copy_store(store_, to(), {}); }),
              StartsWith((from() / "d").string() + ": `strata strip` is at work there, or was interrupted"));
  EXPECT_FALSE(fs::exists(to()));
  finish_replacement(from() / "d");
  EXPECT_EQ(copy_store(store_, to(), {}).shards, 4);
}

TEST_F(Copy, DoesNotMixStores) {
  FeatureStore::open_or_create(to(), {"hubert", "another", {}, {kTaps, 400}});
  EXPECT_THAT(error_of<ConfigError>([&] { forecast_copy(store_, to(), {}); }),
              HasSubstr((to() / "store.json").string() + ": it is another than "));
  EXPECT_THAT(error_of<ConfigError>([&] { forecast_copy(store_, from(), {}); }),
              HasSubstr("a store cannot be copied onto itself"));
}

TEST_F(Copy, OrStripOfWhatWasUsedLongestAgo) {
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(from() / "c/verified.json", now);
  fs::last_write_time(CorpusPlan::generation_path(from() / "d", 0), now - std::chrono::hours(1));
  const auto names_within = [&](std::int64_t bytes) {
    std::vector<std::string> names;
    for (const CorpusUse& use : least_recently_used({from()}, bytes)) names.push_back(use.corpus);
    return names;
  };
  const auto all = least_recently_used({from()}, 0);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(names_within(all[0].bytes + all[1].bytes), IsEmpty());
  EXPECT_THAT(names_within(all[0].bytes + all[1].bytes - 1), ElementsAre("d"));
  EXPECT_THAT(names_within(all[1].bytes - 1), ElementsAre("d", "c"));
  // A sweep that finds all verified is a use, too.
  VerifiedShards(from() / "d").save();
  fs::last_write_time(from() / "c/verified.json", now - std::chrono::hours(1));
  EXPECT_THAT(names_within(all[0].bytes + all[1].bytes - 1), ElementsAre("c"));
}

}  // namespace
}  // namespace strata

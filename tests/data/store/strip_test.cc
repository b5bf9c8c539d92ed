#include "data/store/strip.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/corpus_features.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::Compression;
using hdf5::StoredType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<Tap> kUpstream = {{"h0", 4, 320}, {"h1", 4, 320}, {"h2", 4, 640}};

/// A store in which "a" and "b" have h0 and h1, then got h2 in a generation of its own; and another corpus. Nobody
/// could decode "x", which shares shards with "a".
class StrippedStore : public testing::TestWithParam<std::pair<StoredType, Compression>> {
 protected:
  StrippedStore() : folder_(fresh_folder() / "hubert") {
    FeatureStore store = FeatureStore::open_or_create(folder_, description({"h0", "h1"}));
    add(store, "c");
    store = FeatureStore::open_or_create(folder_, description({"h0", "h1", "h2"}));
    add(store, "c");
    add(store, "other");
  }

  static StoreDescription description(const std::vector<std::string>& taps) {
    StoreDescription d{"hubert", "f", GetParam().first, {{}, 400}};
    d.compression = GetParam().second;
    d.available = kUpstream;
    for (const Tap& tap : kUpstream) {
      if (std::ranges::count(taps, tap.name) > 0) d.spec.taps.push_back(tap);
    }
    return d;
  }

  static at::Tensor frames_of(const std::string& id, const Tap& tap) {
    return table(id == "a" ? 700 : 3, tap.width, StoredType::kFloat32,
                 [](std::int64_t r, std::int64_t c) {
                   return 0.37 * static_cast<double>(r % 91) - 1.7 * static_cast<double>(c);
                 })
        .add(tap.name[1]);
  }

  void add(const FeatureStore& store, const std::string& corpus) const {
    CorpusPlan plan = CorpusPlan::load(store.corpus_folder(corpus));
    for (const ShardPlan& shard :
         plan.extend({{"x", 0}, {"a", 1600}, {"b", 960}}, store.description(), Json::array(), 1)) {
      std::vector<ShardUtterance> computed;
      std::vector<FailedUtterance> failed;
      for (const std::string& id : shard.ids) {
        if (id == "x") {
          failed.push_back({id, "not audio"});
          continue;
        }
        computed.push_back({id, id == "a" ? 1600 : 960, {}});
        for (const Tap& tap : store.taps_of(shard)) {
          computed.back().features.push_back(frames_of(id, tap).to(scalar_type(GetParam().first)));
        }
      }
      write_shard(plan.folder() / shard.name, store.taps_of(shard), GetParam().first, computed, failed,
                  shard.compression, store.origin_of(corpus, shard.name));
    }
    plan.save();
  }

  /// Every tap that the store names is as it was written, and whole.
  void expect_whole() const {
    const FeatureStore store = FeatureStore::open(folder_);
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (!entry.is_directory()) continue;
      const CorpusFeatures features(store, entry.path().filename());
      for (const char* id : {"a", "b"}) {
        ASSERT_TRUE(features.contains(id));
        for (std::size_t t = 0; t < store.description().spec.taps.size(); ++t) {
          EXPECT_TRUE(
              features.read(id, t).equal(as_read(frames_of(id, store.description().spec.taps[t]), GetParam().first)));
        }
      }
      for (const auto& shard : features.shards()) {
        EXPECT_THAT(shard->verify(), IsEmpty());
        EXPECT_TRUE(shard->origin() == store.origin_of(entry.path().filename(), shard->path().filename()));
      }
      EXPECT_NE(features.failure("x"), nullptr);
    }
  }

  std::vector<std::string> taps() const {
    std::vector<std::string> names;
    const FeatureStore store = FeatureStore::open(folder_);
    for (const Tap& tap : store.description().spec.taps) names.push_back(tap.name);
    return names;
  }

  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() == ".h5") sum += static_cast<std::int64_t>(fs::file_size(entry.path()));
    }
    return sum;
  }

  const fs::path folder_;
};

INSTANTIATE_TEST_SUITE_P(Forms, StrippedStore,
                         testing::Values(std::pair(StoredType::kFloat16, Compression::kNone),
                                         std::pair(StoredType::kInt8, Compression::kNone),
                                         std::pair(StoredType::kInt8, Compression::kDeflate)),
                         [](const auto& info) {
                           return hdf5::name_of(info.param.first) + "_" + hdf5::name_of(info.param.second);
                         });

TEST_P(StrippedStore, LosesTapsAndKeepsTheRestAsItIs) {
  const std::int64_t before = bytes();
  const FeatureStore store = FeatureStore::open(folder_);
  const StripForecast forecast = forecast_strip(store, {{"h1"}, {}});
  EXPECT_EQ(forecast.shards_rewritten, 4);  // two of c's first generation, two of the other's
  EXPECT_EQ(forecast.shards_removed, 0);
  EXPECT_EQ(bytes(), before);
  const StripForecast done = strip(store, {{"h1"}, {}});
  EXPECT_EQ(done.bytes_freed, forecast.bytes_freed);
  EXPECT_NEAR(static_cast<double>(before - bytes()), static_cast<double>(done.bytes_freed), 4 * 8192.0);  // tables
  EXPECT_GT(done.bytes_freed, 0);
  EXPECT_THAT(taps(), ElementsAre("h0", "h2"));
  expect_whole();
  EXPECT_THAT(names_in(folder_ / "c"), testing::Not(testing::Contains("stripped")));
  // What is left is as if the tap had never been.
  const StripForecast again = forecast_strip(FeatureStore::open(folder_), {{"h1"}, {}});
  EXPECT_EQ(again.shards_rewritten + again.shards_removed + again.bytes_freed, 0);
}

TEST_P(StrippedStore, RemovesShardsThatHoldNothingElse) {
  strip(FeatureStore::open(folder_), {{"h2"}, {}});
  EXPECT_THAT(taps(), ElementsAre("h0", "h1"));
  EXPECT_FALSE(fs::exists(folder_ / "c/shard-00002.h5"));
  EXPECT_FALSE(fs::exists(folder_ / "c/shard-00003.json"));
  expect_whole();
  // Extracted again, it comes in shards of new names.
  const FeatureStore store = FeatureStore::open_or_create(folder_, description({"h2"}));
  add(store, "c");
  add(store, "other");
  EXPECT_TRUE(fs::exists(folder_ / "c/shard-00004.h5"));
  EXPECT_THAT(taps(), ElementsAre("h0", "h1", "h2"));
  expect_whole();
}

TEST_P(StrippedStore, LosesCorpora) {
  const StripForecast forecast = forecast_strip(FeatureStore::open(folder_), {{}, {"other"}});
  EXPECT_EQ(forecast.shards_removed, 2);
  EXPECT_EQ(strip(FeatureStore::open(folder_), {{}, {"other"}}).bytes_freed, forecast.bytes_freed);
  EXPECT_FALSE(fs::exists(folder_ / "other"));
  expect_whole();
}

TEST_P(StrippedStore, RefusesWhatIsNotThere) {
  const FeatureStore store = FeatureStore::open(folder_);
  const auto error = [&](const StripRequest& request) { return error_of<ConfigError>([&] { strip(store, request); }); };
  EXPECT_EQ(error({{"h7"}, {}}), folder_.string() + ": the store has no tap \"h7\"; it has h0, h1, h2");
  EXPECT_EQ(error({{"h0", "h1", "h2"}, {}}), folder_.string() + ": no tap would be left; remove the folder instead");
  EXPECT_EQ(error({{}, {"tones"}}), folder_.string() + ": the store has no corpus \"tones\"");
  EXPECT_EQ(error({{}, {"../hubert"}}), folder_.string() + ": the store has no corpus \"../hubert\"");
  expect_whole();
}

TEST_P(StrippedStore, DoesNotWriteDamageAnew) {
  const fs::path path = folder_ / "c/shard-00000.h5";
  std::string content = read_file(path);
  const Json ranges = read_json(sidecar_path(path)).at("frame_data");
  const std::size_t first = ranges[0][0];
  content[first + 20] = static_cast<char>(content[first + 20] ^ 0x10);
  write_file_atomically(path, content);
  // Which tap lies first in the file is HDF5's affair: one of the two is kept.
  std::string errors;
  for (const char* tap : {"h0", "h1"}) {
    try {
      fs::copy(folder_, folder_.string() + tap, fs::copy_options::recursive);
      strip(FeatureStore::open(folder_.string() + tap), {{tap}, {}});
    } catch (const DataError& e) {
      errors += e.what();
    }
  }
  EXPECT_THAT(errors,
              HasSubstr("shard-00000.h5: the frames of 1 utterances do not have their checksums, the first \"a\""));
}

TEST_P(StrippedStore, DoesNotAdoptWhatBelongsElsewhere) {
  for (const char* file : {"shard-00000.h5", "shard-00000.json"})
    fs::copy_file(folder_ / "other" / file, folder_ / "c" / file, fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of<DataError>([&] {
                strip(FeatureStore::open(folder_), {{"h1"}, {}});
              }),
              HasSubstr("c/shard-00000.h5: it is shard-00000.h5 of the corpus \"other\" of this upstream"));
  EXPECT_THAT(taps(), ElementsAre("h0", "h1", "h2"));
}

// A kill may strike between any two steps; the same command completes it, and until then what stays can be read, but
// for one shard between its sidecar's and its own renaming.
TEST_P(StrippedStore, IsCompletedAfterAKillAtAnyTime) {
  int struck = 0;
  for (useconds_t delay = 0; delay < 60000; delay += 1500) {
    const fs::path copy = folder_.string() + std::to_string(delay);
    fs::copy(folder_, copy, fs::copy_options::recursive);
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        strip(FeatureStore::open(copy), {{"h1", "h2"}, {"other"}});
      } catch (...) {
        std::_Exit(9);
      }
      std::_Exit(0);
    }
    ::usleep(delay);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    struck += WIFSIGNALED(status);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    const StripRequest rest{
        {"h1", "h2"}, fs::exists(copy / "other") ? std::vector<std::string>{"other"} : std::vector<std::string>()};
    strip(FeatureStore::open(copy), rest);
    const FeatureStore store = FeatureStore::open(copy);
    EXPECT_EQ(store.description().spec.taps.size(), 1u);
    const CorpusFeatures features(store, "c");
    for (const char* id : {"a", "b"}) {
      EXPECT_TRUE(features.read(id, 0).equal(as_read(frames_of(id, kUpstream[0]), GetParam().first))) << delay;
    }
    for (const auto& shard : features.shards()) EXPECT_THAT(shard->verify(), IsEmpty());
    EXPECT_THAT(names_in(copy / "c"), ElementsAre("generation-000.json", "generation-001.json", "shard-00000.h5",
                                                  "shard-00000.json", "shard-00001.h5", "shard-00001.json"));
    ASSERT_FALSE(HasFailure()) << delay;
    fs::remove_all(copy);
  }
  EXPECT_GT(struck, 0);
}

// So that a job from which the store was taken, since it had slept too long, does no more to it.
TEST_P(StrippedStore, ChangesNothingOnceItIsRefused) {
  int asked = 0;
  for (bool refused = true; refused; ++asked) {
    const fs::path copy = folder_.string() + std::to_string(asked);
    fs::copy(folder_, copy, fs::copy_options::recursive);
    std::map<std::string, std::string> left;
    refused = false;
    int before = 0;
    try {
      strip(FeatureStore::open(copy), {{"h1", "h2"}, {"other"}}, [&] {
        if (before++ < asked) return;
        left = contents_of(copy);
        throw DataError("taken");
      });
    } catch (const DataError& e) {
      refused = true;
      EXPECT_EQ(std::string(e.what()), "taken");
      if (asked == 0) EXPECT_EQ(left, contents_of(folder_));
      EXPECT_EQ(contents_of(copy), left) << asked;
    }
    fs::remove_all(copy);
  }
  EXPECT_GE(asked, 6);  // a corpus that goes, its plans, the other's, what is dropped, shards
}

TEST_P(StrippedStore, CompletesTheReplacementOfAShard) {
  const fs::path corpus = folder_ / "c", room = corpus / "stripped";
  const std::string shard = read_file(corpus / "shard-00000.h5"), sidecar = read_file(corpus / "shard-00000.json");
  // The sidecar was replaced, the shard was not: what waits is moved.
  write_file_atomically(room / "shard-00000.h5", shard);
  write_file_atomically(corpus / "shard-00000.h5", "old");
  finish_replacement(corpus);
  expect_whole();
  // Both wait.
  write_file_atomically(room / "shard-00000.json", sidecar);
  write_file_atomically(room / "shard-00000.h5", shard);
  write_file_atomically(corpus / "shard-00000.h5", "old");
  write_file_atomically(corpus / "shard-00000.json", "old");
  finish_replacement(corpus);
  expect_whole();
  // Only the sidecar was written: nothing comes of it.
  write_file_atomically(room / "shard-00000.json", "new");
  write_file_atomically(room / "shard-00000.h5.part", "ne");
  finish_replacement(corpus);
  EXPECT_FALSE(fs::exists(room));
  expect_whole();
}

}  // namespace
}  // namespace strata

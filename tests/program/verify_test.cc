#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/config/json.h"
#include "data/store/json_seal.h"
#include "data/store/store.h"
#include "tests/program/program.h"

namespace strata {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Stores of two upstreams, each of one shard, that are damaged after they were written.
class Verify : public testing::Test {
 protected:
  void extract() const {
    const RunResult run = place_.run("extract study.json");
    ASSERT_EQ(run.code, 0) << run.err;
  }

  /// Runs a command that fails with one error; returns what it printed.
  RunResult failed(const std::string& arguments) const {
    RunResult run = place_.run(arguments);
    EXPECT_EQ(run.code, 1) << arguments << ": " << run.err;
    EXPECT_EQ(run.times_in_err("strata: error: "), 1) << run.err;
    EXPECT_EQ(run.times_in_err("\n"), 1) << run.err;
    return run;
  }

  fs::path path(const std::string& shard) const { return place_.folder() / "features" / shard; }

  /// The first shard of an upstream.
  std::unique_ptr<ShardReader> open(const std::string& upstream) const {
    const FeatureStore store = FeatureStore::open(path(upstream));
    const ShardPlan plan = CorpusPlan::load(path(upstream) / "tones").shards().at(0);
    return std::make_unique<ShardReader>(path(upstream) / "tones" / plan.name, store.taps_of(plan),
                                         store.description().type);
  }

  /// Flips the lowest bit of an utterance's first frame. The shard's size and time of change stay.
  void flip(const std::string& upstream, const std::string& id) const {
    const auto shard = open(upstream);
    const auto u = static_cast<std::size_t>(std::ranges::find(shard->ids(), id) - shard->ids().begin());
    ASSERT_LT(u, shard->ids().size()) << id;
    const ShardTap& tap = shard->tap(0);
    const std::int64_t row_bytes = tap.frames.columns * (upstream == "fbank" ? 4 : 2);
    const std::int64_t at = tap.frames.offset_bytes + tap.first[u] * row_bytes;
    const fs::file_time_type changed = fs::last_write_time(shard->path());
    {
      std::fstream file(shard->path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ 1));
      ASSERT_TRUE(file.good());
    }
    fs::last_write_time(shard->path(), changed);
  }

  /// The shard with other bytes, and a sidecar that says that these are right, so that HDF5 gets to see them.
  void seal(const fs::path& shard, const std::string& content) const {
    write_file_atomically(shard, content);
    const Json sidecar = {{"size_bytes", content.size()},
                          {"checksum", fmt::format("{:016x}", xxh3(std::as_bytes(std::span(content))))},
                          {"frame_data", Json::array()},
                          {"failed", Json::array()}};
    write_file_atomically(sidecar_path(shard), sidecar.dump());
  }

  Workplace place_{24};
};

TEST_F(Verify, NamesEveryDamagedUtterance) {
  ASSERT_NO_FATAL_FAILURE(extract());
  const std::string shard = "features/fbank/tones/shard-00000.h5: ";
  for (const char* id : {"u003", "u010", "u023"}) flip("fbank", id);
  RunResult run = failed("verify features");
  EXPECT_THAT(run.out, HasSubstr(shard + "3 utterances differ from their checksums: \"u003\", \"u010\", \"u023\"\n"));
  EXPECT_THAT(run.out, HasSubstr("features: 2 shards, 48 utterances, 1 bad, 0 not there\n"));
  EXPECT_THAT(run.err, HasSubstr("1 shards are bad and 0 are not there"));

  // All but those three, which become whole again; then these too.
  const std::vector<std::string> ids = open("fbank")->ids();
  for (const std::string& id : ids) flip("fbank", id);
  EXPECT_THAT(failed("verify features").out,
              AllOf(HasSubstr(shard + "21 utterances differ from their checksums: \"u000\", \"u001\", \"u002\", "),
                    HasSubstr("\"u021\" and 1 more\n"), Not(HasSubstr("\"u003\"")), Not(HasSubstr("\"u022\""))));
}

TEST_F(Verify, LooksPastWhatItCannotRead) {
  Json study = place_.read_study();
  study["corpora"]["again"] = "manifests";
  place_.write_study(study);
  ASSERT_NO_FATAL_FAILURE(extract());
  const std::string store = "features/fbank/store.json", plan = "features/untrained/again/generation-000.json";
  const std::string whole_store = place_.read(store), whole_plan = place_.read(plan);
  const std::string whole_shard = place_.read("features/untrained/tones/shard-00000.h5");
  place_.write(store, "{");
  place_.write(plan, "[]");
  flip("untrained", "u005");
  RunResult run = failed("verify features");
  EXPECT_THAT(run.out, HasSubstr(store + ": not valid JSON at line 1: "));
  EXPECT_THAT(run.out, HasSubstr(plan + ": not a valid extraction plan: "));
  EXPECT_THAT(run.out,
              HasSubstr("untrained/tones/shard-00000.h5: 1 utterances differ from their checksums: \"u005\"\n"));
  EXPECT_THAT(run.out, HasSubstr("features: 1 shards, 24 utterances, 1 bad, 0 not there, 2 folders not looked into\n"));
  EXPECT_THAT(run.err, HasSubstr("features: 2 folders could not be looked into"));

  run = place_.run("verify features --repair");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("untrained/tones/shard-00000.h5: removed\n"));
  EXPECT_EQ(place_.files("features", ".h5").size(), 3U);
  place_.write(store, whole_store);
  place_.write(plan, whole_plan);
  ASSERT_NO_FATAL_FAILURE(extract());
  EXPECT_TRUE(place_.read("features/untrained/tones/shard-00000.h5") == whole_shard);
  EXPECT_THAT(place_.run("verify features").out, HasSubstr("features: 4 shards, 96 utterances, 0 bad, 0 not there\n"));
}

// Only what is known to be bad is removed.
TEST_F(Verify, KeepsWhatItCannotLookInto) {
  ASSERT_NO_FATAL_FAILURE(extract());
  const fs::path shard = path("fbank/tones/shard-00000.h5"), sidecar = sidecar_path(shard);
  const std::string whole = read_file(sidecar);
  fs::remove(sidecar);
  fs::create_symlink(sidecar.filename(), sidecar);  // root may read whatever else there is
  flip("untrained", "u005");
  const RunResult run = failed("verify features --repair");
  EXPECT_THAT(
      run.out,
      AllOf(HasSubstr("fbank/tones/shard-00000.json: cannot open: Too many levels of symbolic links; not looked "
                      "into\n"),
            HasSubstr("untrained/tones/shard-00000.h5: removed\n"), Not(HasSubstr("fbank/tones/shard-00000.h5")),
            HasSubstr("features: 2 shards, 24 utterances, 1 bad, 0 not there, 1 not looked into\n")));
  EXPECT_THAT(run.err, HasSubstr("features: 1 shards could not be looked into, for the reasons above, and are kept"));
  write_file_atomically(sidecar, whole);
  EXPECT_EQ(place_.run("verify features/fbank").code, 0);
  fs::remove(sidecar);  // that, however, is bad
  EXPECT_THAT(place_.run("verify features/fbank --repair").out,
              HasSubstr("shard-00000.h5: its sidecar shard-00000.json is not there; "));
  EXPECT_FALSE(fs::exists(shard));
}

TEST_F(Verify, DoesNotRepairByAStoreJsonThatNoShardFits) {
  ASSERT_EQ(place_.run("extract study.json --shard-bytes 200000").code, 0);
  const std::string store = "features/fbank/store.json", right = place_.read(store);
  const auto shards = place_.files("features/fbank", ".h5");
  ASSERT_GT(shards.size(), 1U);
  Json wrong = Json::parse(right);
  wrong["fingerprint"] = "of-another-one";
  place_.write(store, sealed(wrong));
  const RunResult run = failed("verify features --repair");
  EXPECT_THAT(run.out, HasSubstr(store + ": it has fingerprint of-another-o, and none of "));
  EXPECT_TRUE(place_.files("features/fbank", ".h5") == shards);
  EXPECT_THAT(failed("verify features/fbank").out, HasSubstr("of another upstream"));
  place_.write(store, right);
  EXPECT_EQ(place_.run("verify features --repair").code, 0);
}

TEST_F(Verify, TellsOfHostileShardsInALine) {
  ASSERT_NO_FATAL_FAILURE(extract());
  const fs::path shard = path("fbank/tones/shard-00000.h5");
  const std::string name = "features/fbank/tones/shard-00000.h5", whole = read_file(shard);

  // All but HDF5's first block is gone; a table points outside; an id that was not planned has a line break.
  constexpr std::size_t kSuperblockBytes = 48;
  const std::string headless = whole.substr(0, kSuperblockBytes) + std::string(whole.size() - kSuperblockBytes, '\xff');
  const ShardTap tap = open("fbank")->tap(0);
  const std::string count(reinterpret_cast<const char*>(tap.count.data()), tap.count.size() * sizeof tap.count[0]);
  ASSERT_NE(whole.find(count), whole.npos);
  std::string pointing = whole, renamed = whole;
  pointing.replace(whole.find(count), 8, "\xff\xff\xff\xff\xff\xff\xff\x7f");
  ASSERT_NE(whole.find("u000u001"), whole.npos);
  renamed.replace(whole.find("u000u001"), 4, "u\n00");

  struct Hostile {
    std::string content, reason;
    bool opens;  // by itself, where nothing says what it should hold
  };
  for (const Hostile& hostile :
       {Hostile{headless, ": HDF5 cannot open ", false},
        Hostile{pointing, " \"/taps/fbank\": its tables point outside its frames", false},
        Hostile{renamed, ": its 24 utterances are not the 24 that were planned for it; ", true}}) {
    SCOPED_TRACE(hostile.reason);
    seal(shard, hostile.content);
    RunResult run = failed("verify features/fbank");
    EXPECT_THAT(run.out, HasSubstr(name + hostile.reason));
    EXPECT_EQ(std::ranges::count(run.out, '\n'), 2) << run.out;

    run = place_.run("inspect features/fbank");
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr(name + hostile.reason));
    run = hostile.opens ? place_.run("inspect " + name) : failed("inspect " + name);
    EXPECT_EQ(run.code, hostile.opens ? 0 : 1);
    EXPECT_THAT(hostile.opens ? run.out : run.err,
                HasSubstr("/" + name + (hostile.opens ? ": 24 utterances" : hostile.reason)));

    run = place_.run("verify --repair features/fbank");
    EXPECT_EQ(run.code, 0) << run.err;
    EXPECT_THAT(run.out, AllOf(HasSubstr(name + hostile.reason), HasSubstr(name + ": removed\n")));
    EXPECT_FALSE(fs::exists(shard) || fs::exists(sidecar_path(shard)));
    ASSERT_NO_FATAL_FAILURE(extract());
    EXPECT_TRUE(read_file(shard) == whole);
  }
}

TEST_F(Verify, ASweepVerifiesOnceOrAlwaysOrNever) {
  ASSERT_NO_FATAL_FAILURE(extract());
  const std::string quick = "sweep study.json sweep.0.steps=5 ";
  ASSERT_EQ(place_.run(quick + "output=first").code, 0);
  flip("fbank", "u003");
  RunResult run = place_.run(quick + "output=once");  // the shard's size and time are those that were verified
  EXPECT_EQ(run.code, 0) << run.err;
  run = place_.run(quick + "output=always verify=always");
  EXPECT_EQ(run.code, 1);
  const std::string damaged =
      "features/fbank/tones/shard-00000.h5: the frames of 1 utterances do not have their checksums";
  EXPECT_THAT(run.err, HasSubstr("strata: error: " + damaged + ", the first \"u003\""));

  fs::last_write_time(path("fbank/tones/shard-00000.h5"), fs::file_time_type::clock::now());
  run = place_.run(quick + "output=touched");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr(damaged));
  EXPECT_EQ(place_.run(quick + "output=never verify=never").code, 0);
}

}  // namespace
}  // namespace strata

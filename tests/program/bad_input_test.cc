#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// Alone, and on three ranks under mpirun: one error line each time.
class BadInput : public testing::TestWithParam<int> {
 protected:
  void expect_error(const std::string& arguments, int code, const std::string& text) const {
    const RunResult run = place_.run(arguments, GetParam());
    EXPECT_EQ(run.code, code) << run.err;
    EXPECT_EQ(run.times_in_err("strata: error:"), 1) << run.err;
    EXPECT_THAT(run.err, HasSubstr(text));
  }
  void extract() const {
    const RunResult run = place_.run("extract study.json");
    ASSERT_EQ(run.code, 0) << run.err;
  }
  Workplace place_;
};

INSTANTIATE_TEST_SUITE_P(Ranks, BadInput, testing::Values(0, 3));

TEST_P(BadInput, CommandLine) {
  expect_error("sweep", 2, "study is required");
  expect_error("swep study.json", 2, "strata --help");
  expect_error("sweep nowhere.json", 2, "nowhere.json: there is no such file");
  expect_error("extract study.json nonsense", 2, "\"nonsense\" is no override");
}

TEST_P(BadInput, WrongKeys) {
  extract();
  Json study = place_.read_study();
  study["corpra"] = 1;
  place_.write_study(study);
  expect_error("extract study.json", 2, "study.json /corpra: unknown key, did you mean \"corpora\"?");
  study.erase("corpra");
  study["sweep"][0]["interface"][1]["normalise"] = true;
  place_.write_study(study);
  expect_error("sweep study.json", 2, "study.json /sweep/0/interface/normalise: unknown key, did you mean \"normalize\"?");
  study["sweep"][0]["interface"] = {{"type", "weigthed_sum"}};
  place_.write_study(study);
  expect_error("sweep study.json", 2, "/sweep/0/interface/type: unknown interface \"weigthed_sum\", did you mean \"weighted_sum\"?");
  study["sweep"][0]["interface"] = {{"type", "weighted_sum"}};
  study["sweep"][0]["steps"] = 0;
  place_.write_study(study);
  expect_error("sweep study.json", 2, "/sweep/0/steps: 0 is not allowed; takes an integer, at least 1");
  place_.write("study.json", "{ \"name\": ");
  expect_error("sweep study.json", 2, "study.json: not valid JSON at line 1");
}

TEST_P(BadInput, Manifests) {
  const std::string manifest = place_.read("manifests/utterances.jsonl");
  std::filesystem::remove(place_.folder() / "manifests/audio/u003.wav");
  expect_error("extract study.json", 2, "utterances.jsonl line 4");
  place_.write("manifests/utterances.jsonl", manifest + manifest.substr(0, manifest.find('\n') + 1));
  expect_error("extract study.json", 2, "\"u000\"");
  place_.write("manifests/utterances.jsonl", "");
  expect_error("extract study.json", 2, "utterances.jsonl");
  std::filesystem::remove(place_.folder() / "manifests/utterances.jsonl");
  expect_error("extract study.json", 2, "utterances.jsonl");
}

TEST_P(BadInput, Models) {
  std::filesystem::remove(place_.folder() / "model/model.safetensors");
  expect_error("extract study.json", 2, "model: no weights");
  expect_error("extract study.json upstreams.untrained.model=nobody/nothing", 2, "nobody/nothing");
}

TEST_P(BadInput, StoreOfAnotherUpstream) {
  extract();
  ASSERT_EQ(place_.run("untrained other seed=1 layers=2 hidden_size=32 heads=2 intermediate_size=64 conv_dim=16").code, 0);
  expect_error("extract study.json upstreams.untrained.model=other", 2, "the store was made by another upstream under the name \"untrained\"");
  expect_error("extract study.json upstreams.untrained.dtype=float32", 2, "the store holds float16, the study asks for float32");
}

TEST_P(BadInput, SweepWithoutFeatures) {
  expect_error("sweep study.json", 2, "run `strata extract` first");
  extract();
  std::filesystem::remove(place_.folder() / "features/fbank/tones/shard-00000.h5");
  expect_error("sweep study.json", 2, "1 of 1 shards are missing");
}

TEST_P(BadInput, DamagedShards) {
  extract();
  const std::filesystem::path shard = place_.folder() / "features/fbank/tones/shard-00000.h5";
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 100);
  expect_error("sweep study.json", 1, "it is truncated");
  RunResult run = place_.run("verify features");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, HasSubstr("shard-00000.h5"));
  ASSERT_EQ(place_.run("verify features --repair").code, 0);
  extract();
  {
    std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(shard)) - 4000);
    file.put('\x55');
  }
  run = place_.run("verify features");
  EXPECT_EQ(run.code, 1) << "a flipped byte was not found";
  expect_error("sweep study.json", 1, "shard-00000.h5: the frames of 1 utterances do not have their checksums");
  EXPECT_EQ(place_.run("sweep study.json verify=never sweep.0.steps=5").code, 0);
}

TEST_P(BadInput, ShardsOfAnotherUpstream) {
  extract();
  const std::filesystem::path features = place_.folder() / "features";
  for (const char* file : {"shard-00000.h5", "shard-00000.json"}) {
    std::filesystem::copy_file(features / "untrained/tones" / file, features / "fbank/tones" / file,
                               std::filesystem::copy_options::overwrite_existing);
  }
  const std::string what =
      "fbank/tones/shard-00000.h5: it is shard-00000.h5 of the corpus \"tones\" of another upstream (fingerprint ";
  expect_error("sweep study.json", 1, what);
  EXPECT_THAT(place_.run("verify features").out, HasSubstr(what));
  ASSERT_EQ(place_.run("verify features --repair").code, 0);
  extract();
  EXPECT_EQ(place_.run("verify features").code, 0);
}

TEST_P(BadInput, AudioThatCannotBeDecoded) {
  place_.write("manifests/audio/u005.wav", "this is no audio");
  RunResult run = place_.run("extract study.json", GetParam());
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("u005"));
  EXPECT_THAT(run.out, HasSubstr("2 could not be decoded"));  // one utterance, two upstreams
  expect_error("sweep study.json", 2, "allow_missing");
  run = place_.run("sweep study.json allow_missing=true sweep.0.steps=5", GetParam());
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST_P(BadInput, Outputs) {
  extract();
  ASSERT_EQ(place_.run("sweep study.json sweep.0.steps=5").code, 0);
  expect_error("sweep study.json name=another", 2, "belongs to the study \"tones\", not to \"another\"");
  place_.write("file", "x");
  expect_error("sweep study.json output=file/below", 2, "is a file, not a folder");
  expect_error("extract study.json store=file/below", 2, "is a file, not a folder");
}

TEST_P(BadInput, SecondSweepOnALiveOutput) {
  extract();
  // The first one is the shell's sleep, recorded as the owner: alive, and not us.
  const std::string record = "sleep 60 & p=$!; start=$(cut -d' ' -f22 /proc/$p/stat); mkdir -p output; "
                             "echo \"{\\\"what\\\": \\\"strata sweep\\\", \\\"host\\\": \\\"$(hostname)\\\", \\\"boot_id\\\": \\\"$(cat /proc/sys/kernel/random/boot_id)\\\", "
                             "\\\"pid\\\": $p, \\\"start_time\\\": \\\"$start\\\", \\\"heartbeat\\\": 0}\" >output/owner.json; echo $p >pid";
  ASSERT_EQ(std::system(("cd " + place_.folder().string() + " && (" + record + ") >/dev/null 2>&1").c_str()), 0);
  expect_error("sweep study.json", 1, "is working here");
  std::system(("kill $(cat " + (place_.folder() / "pid").string() + ")").c_str());
  EXPECT_EQ(place_.run("sweep study.json sweep.0.steps=5", GetParam()).code, 0);
}

constexpr const char* kLongSweep = "sweep study.json rewrites=false sweep.0.steps=400 sweep.0.evaluate_every=100";
constexpr const char* kTrains = "grep -q trial_started output/journal.jsonl";

TEST_P(BadInput, FullDisk) {
  // No file may grow past 64 KiB, as if the disk were full then. MPI is kept from files of its own that are larger.
  const std::string full = "export OMPI_MCA_btl=self,tcp PMIX_MCA_gds=hash\ntrap '' XFSZ\nulimit -f 64";
  RunResult run = place_.run("extract study.json", GetParam(), full);
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_THAT(run.err, HasSubstr("File too large"));
  EXPECT_TRUE(place_.files("features", ".part").empty());
  extract();
  run = place_.run("verify features");
  EXPECT_EQ(run.code, 0) << run.out;

  run = place_.run("sweep study.json", GetParam(), full);
  EXPECT_EQ(run.code, 1) << run.err;
  EXPECT_THAT(run.err, HasSubstr("File too large"));
  run = place_.run("sweep study.json", GetParam());
  EXPECT_EQ(run.code, 0) << "a full disk must not count as a trial's failure: " << run.err;
  EXPECT_EQ(place_.done_trials("output").size(), 8U);
}

TEST_P(BadInput, ControlC) {
  extract();
  const RunResult run = place_.run_until(kLongSweep, GetParam(), kTrains, "kill -INT $run");
  if (GetParam() == 0) {
    EXPECT_EQ(run.code, 75) << run.err;
  } else {
    EXPECT_NE(run.code, 0) << "mpirun ends its ranks soon after and gives a code of its own";
  }
  EXPECT_EQ(place_.run(kLongSweep, GetParam()).code, 0);
  EXPECT_EQ(place_.done_trials("output").size(), 8U);
}

TEST_P(BadInput, SlurmsSignalStopsASweep) {
  extract();
  const RunResult run = place_.run_until(kLongSweep, GetParam(), kTrains, "kill -USR1 $run");
  EXPECT_EQ(run.code, 75) << run.err;
  EXPECT_LT(place_.done_trials("output").size(), 8U);
  EXPECT_EQ(place_.run(kLongSweep, GetParam()).code, 0);
  EXPECT_EQ(place_.done_trials("output").size(), 8U);
}

TEST_P(BadInput, SlurmsSignalStopsAnExtraction) {
  const Workplace place(160);
  const std::string command = "extract study.json --shard-bytes 5000";
  ASSERT_EQ(place.run(command + " store=whole").code, 0);
  const RunResult run = place.run_until(command, GetParam(), "ls features/*/tones/shard-*.h5", "kill -USR1 $run");
  EXPECT_EQ(run.code, 75) << run.err;
  EXPECT_LT(place.files("features", ".h5").size(), place.files("whole", ".h5").size());
  EXPECT_EQ(place.run(command, GetParam()).code, 0);
  EXPECT_TRUE(place.files("features", ".h5") == place.files("whole", ".h5"));
}

TEST_P(BadInput, ARankIsKilled) {
  extract();
  const int ranks = GetParam();
  if (ranks == 0) {
    EXPECT_EQ(place_.run_until(kLongSweep, ranks, kTrains, "kill -9 $run").code, 137);
  }
  for (int victim = 0; victim < ranks; ++victim) {
    const std::string output = "output" + std::to_string(victim), command = std::string(kLongSweep) + " output=" + output;
    const RunResult run = place_.run_until(command, ranks, "grep -q trial_started " + output + "/journal.jsonl", "kill -9 $(rank " + std::to_string(victim) + ")");
    EXPECT_EQ(run.code, 137) << "rank " << victim << ": " << run.err;
    EXPECT_EQ(place_.run(command, ranks).code, 0);
    EXPECT_EQ(place_.done_trials(output).size(), 8U);
  }
  if (ranks > 0) return;
  EXPECT_EQ(place_.run(kLongSweep, ranks).code, 0);
  EXPECT_EQ(place_.done_trials("output").size(), 8U);
}

TEST_P(BadInput, NoStreams) {
  // Without them the next files that are opened would get their numbers, and be written into.
  EXPECT_EQ(place_.run("extract study.json", GetParam(), "", "<&- >&- 2>&-").code, 0);
  EXPECT_EQ(place_.run("verify features").code, 0);
  EXPECT_EQ(place_.run("sweep study.json sweep.0.steps=5", GetParam(), "", "<&- >&- 2>&-").code, 0);
  EXPECT_EQ(place_.done_trials("output").size(), 8U);
  const RunResult run = place_.run("sweep study.json sweep.0.steps=5", GetParam(), "", ">stdout 2>stderr <&-");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("8 done before"));
  EXPECT_EQ(run.err.find('\r'), std::string::npos) << "a progress bar where there is no terminal";
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include <cmath>

#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;

TEST(MainJob, RunsAndContinues) {
  const Workplace place;
  RunResult run = place.run("extract study.json");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("2 shards written, 0 were there; 96 utterances"));
  run = place.run("extract study.json");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("0 shards written, 2 were there; 0 utterances"));

  run = place.run("sweep study.json --dry-run");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("8 trials: 0 done, 0 failed earlier, 8 to train"));
  run = place.run("sweep study.json");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("8 trials, 0 done before, 8 done now, 0 failed"));
  run = place.run("sweep study.json");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("8 trials, 8 done before, 0 done now, 0 failed"));

  run = place.run("report output");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("| untrained | weighted_sum |"));
  EXPECT_THAT(place.read("output/results.csv"), HasSubstr("optimizer.learning_rate"));
  run = place.run("verify features");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("2 shards, 96 utterances, 0 bad, 0 not there"));
}

TEST(MainJob, AnyNumberOfRanksExtractsTheSameBytes) {
  const Workplace place;
  // Small shards, so that there are several units for every rank.
  std::map<std::string, std::string> first;
  for (const int ranks : {0, 1, 2, 3, 5}) {
    const std::string store = "features" + std::to_string(ranks);
    const RunResult run = place.run("extract study.json --shard-bytes 20000 store=" + store, ranks);
    ASSERT_EQ(run.code, 0) << ranks << " ranks: " << run.err;
    const auto files = place.files(store, ".h5");
    if (ranks == 0) {
      first = files;
      EXPECT_GT(files.size(), 10U);
    }
    ASSERT_EQ(files.size(), first.size());
    for (const auto& [name, content] : first) EXPECT_TRUE(files.at(name) == content) << name << " differs on " << ranks << " ranks";
  }
}

TEST(MainJob, OneRankTrainsToTheLossesOfSeveral) {
  const Workplace place;
  ASSERT_EQ(place.run("extract study.json").code, 0);
  ASSERT_EQ(place.run("sweep study.json output=one").code, 0);
  const auto one = place.done_trials("one");
  ASSERT_EQ(one.size(), 8U);
  for (const int ranks : {2, 3}) {
    for (const std::string rewrites : {"true", "false"}) {
      const std::string output = "several" + std::to_string(ranks) + rewrites;
      const RunResult run = place.run("sweep study.json rewrites=" + rewrites + " ranks_per_trial=" + std::to_string(ranks) + " output=" + output, ranks);
      ASSERT_EQ(run.code, 0) << run.err;
      for (const auto& [trial, event] : place.done_trials(output)) {
        const Json& expected = one.at(trial);
        for (const char* part : {"best", "test"}) {
          const Json& got = std::string(part) == "best" ? event["best"]["dev"] : event["test"];
          const Json& want = std::string(part) == "best" ? expected["best"]["dev"] : expected["test"];
          EXPECT_NEAR(got["loss"].get<double>(), want["loss"].get<double>(), 2e-4 * std::max(1.0, want["loss"].get<double>())) << trial << " " << part;
          EXPECT_EQ(got["utterances"], want["utterances"]);
        }
      }
    }
  }
}

TEST(MainJob, KilledExtractionContinuesToTheSameBytes) {
  const Workplace place(160);
  ASSERT_EQ(place.run("extract study.json --shard-bytes 10000 store=whole").code, 0);
  const auto whole = place.files("whole", ".h5");
  int killed = 0;  // a late blow may find the work done
  for (const int shards : {1, 3, 5}) {
    const std::string enough = "[ $(find features -name 'shard-*.h5' 2>/dev/null | wc -l) -ge " + std::to_string(shards) + " ]";
    killed += place.run_until("extract study.json --shard-bytes 10000", 2, enough, "kill -9 $(rank 1)").code == 137 ? 1 : 0;
  }
  EXPECT_GT(killed, 0);
  const RunResult run = place.run("extract study.json --shard-bytes 10000", 2);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(place.files("features", ".h5") == whole);
}

TEST(MainJob, StoppedSweepContinuesBitForBit) {
  const Workplace place;
  ASSERT_EQ(place.run("extract study.json").code, 0);
  const std::string longer = "sweep study.json rewrites=false sweep.0.steps=300 sweep.0.evaluate_every=100 sweep.0.optimizer.learning_rate=1e-3 --threads 1 ";
  ASSERT_EQ(place.run(longer + "output=whole").code, 0);
  const std::string trains = "ls output/banks/*/checkpoint.safetensors";
  EXPECT_EQ(place.run_until(longer, 0, trains, "kill -TERM $run").code, 75);
  EXPECT_EQ(place.run_until(longer, 0, "sleep 1", "kill -9 $run").code, 137);
  ASSERT_EQ(place.run(longer).code, 0);
  EXPECT_TRUE(place.files("output/trials", "best.safetensors") == place.files("whole/trials", "best.safetensors"));
  EXPECT_TRUE(place.files("output/trials", "predictions.jsonl") == place.files("whole/trials", "predictions.jsonl"));
  EXPECT_EQ(place.files("output/banks", ".safetensors").size(), 0U);
}

TEST(MainJob, ReportsARunningSweep) {
  const Workplace place;
  ASSERT_EQ(place.run("extract study.json").code, 0);
  const std::string look = "kill -STOP $run; $program status output >status 2>&1; $program report study.json output=output >report 2>&1; kill -CONT $run; while kill -0 $run; do sleep 0.1; done";
  const RunResult run = place.run_until("sweep study.json tensorboard=true rewrites=false sweep.0.steps=400 --threads 1", 0, "grep -q trial_done output/journal.jsonl", look);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(place.read("status"), HasSubstr("running"));
  EXPECT_THAT(place.read("report"), HasSubstr(" of 8 trials are done, 1 running"));
  EXPECT_THAT(place.read("report"), HasSubstr("sid accuracy % ↑"));
  EXPECT_TRUE(std::filesystem::exists(place.folder() / "output/report/report.html"));
  EXPECT_EQ(place.files("output/tensorboard", ".strata").size(), 8U);

  const auto done = place.done_trials("output");
  const std::string first = "output/trials/" + done.begin()->first, last = "output/trials/" + done.rbegin()->first;
  EXPECT_THAT(place.run("compare " + first + " " + last).out, HasSubstr("| test.accuracy |"));
  EXPECT_EQ(place.run("compare " + first + " output").code, 2);
}

TEST(MainJob, RecognisesSpeech) {
  const Workplace place;
  Json study = place.read_study();
  study["tasks"] = {{"asr", {{"type", "asr"}, {"corpus", "tones"}}}};
  study["sweep"] = {{{"task", "asr"}, {"upstreams", {"fbank"}}, {"interface", {{"type", "single_layer"}}},
                     {"head", {{{"type", "linear_ctc"}}, {{"type", "rnn_ctc"}, {"projector_width", 8}, {"hidden_width", 8}, {"input_reduction", 2}}, {{"type", "mean_pool_linear"}}}},
                     {"optimizer", {{"type", "adam"}, {"learning_rate", 1e-2}}}, {"steps", 30}, {"batch_size", 8}, {"evaluate_every", 10}}};
  place.write_study(study);
  ASSERT_EQ(place.run("extract study.json").code, 0);
  RunResult run = place.run("sweep study.json --dry-run");
  EXPECT_THAT(run.out, HasSubstr("not applicable: head mean_pool_linear decides once per utterance, the task does not"));
  run = place.run("sweep study.json", 2);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.times_in_err("1 of 24 training utterances have fewer frames than their targets need, the first \"u008\""), 2) << "once for each head: " << run.err;
  const auto done = place.done_trials("output");
  ASSERT_EQ(done.size(), 2U);
  for (const auto& [trial, event] : done) {
    EXPECT_GT(event["test"]["cer"].get<double>(), 0);
    EXPECT_TRUE(event["test"]["wer"].is_number());
    const std::string lines = place.read("output/trials/" + trial + "/predictions.jsonl");
    EXPECT_EQ(Json::parse(lines.substr(0, lines.find('\n')))["reference"], "tone a");
  }
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include "core/base/hash.h"
#include "tests/program/program.h"

namespace strata {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Two tiny HuBERTs, the second from a layer of the first, on the tones' training and dev splits.
Json pretrain_study() {
  return Json::parse(R"({
    "name": "tones", "output": "output", "corpora": { "tones": "manifests", "again": "manifests" },
    "pretrain": {
      "speech": { "train": ["tones"], "dev": ["again/sid.dev"], "min_seconds": 0.3, "max_seconds": 1,
                  "licence": "none: made up" },
      "models": {
        "first":  { "objective": { "type": "hubert", "conv_channels": 16, "hidden_size": 32, "heads": 2,
                                   "intermediate_size": 64, "layers": 2, "classes": 6, "final_dim": 16 },
                    "units": { "kmeans": { "starts": 2 } },
                    "optimizer": { "type": "adam", "learning_rate": 1e-3 },
                    "steps": 20, "batch_seconds": 3, "log_every": 5, "evaluate_every": 10, "save_every": 5 },
        "second": { "objective": { "type": "hubert", "conv_channels": 16, "hidden_size": 32, "heads": 2,
                                   "intermediate_size": 64, "layers": 1, "classes": 8, "final_dim": 16 },
                    "units": { "source": "model", "model": "first", "tap": "h1" },
                    "optimizer": { "type": "adam", "learning_rate": 1e-3 },
                    "steps": 10, "batch_seconds": 3, "evaluate_every": 10 } } } })");
}

class PretrainProgram : public testing::Test {
 protected:
  void SetUp() override { place_.write("pretrain.json", pretrain_study().dump(1)); }

  /// The weights of the finished models below an output.
  std::map<std::string, std::string> weights(const std::string& output) const {
    return place_.files(output + "/pretrain/models", "model.safetensors");
  }

  const Workplace place_;
};

TEST_F(PretrainProgram, TrainsOnceAndItsModelsAreUpstreams) {
  RunResult run = place_.run("pretrain pretrain.json", 2);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out,
              HasSubstr("output/pretrain: 2 models, 0 done before, 2 done now; 0 utterances could not be decoded"));
  EXPECT_THAT(run.err, HasSubstr("12 are held out"));
  EXPECT_EQ(run.times_in_err("first: step 10 of 20: on dev loss "), 1) << run.err;
  const auto made = weights("output");
  EXPECT_EQ(made.size(), 2U);
  const std::string card = place_.read("output/pretrain/models/second/CARD.md");
  for (const char* text :
       {"Licence of the speech: none: made up", "of first/h1", "12 held out", "utterances of manifests to train on",
        "\n    mpirun -np 2 strata pretrain pretrain.json\n", "| 10 | ", "the utterances of `*/*.test`. These",
        "## first, which the units come from", "20 steps of at most 3.0 s"})
    EXPECT_THAT(card, HasSubstr(text));
  EXPECT_THAT(card, HasSubstr("SHA-256 of model.safetensors: " +
                              sha256_of_file(place_.folder() / "output/pretrain/models/second/model.safetensors")));

  run = place_.run("pretrain pretrain.json");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("2 done before, 0 done now"));
  EXPECT_TRUE(weights("output") == made);
  run = place_.run("pretrain pretrain.json pretrain.models.second.steps=5");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("1 done before, 1 done now"));
  EXPECT_FALSE(weights("output") == made);

  EXPECT_EQ(
      place_.run("encode output/pretrain/models/second manifests/audio/u000.wav --output layers.safetensors").code, 0);
  run = place_.run("extract study.json upstreams.untrained.model=output/pretrain/models/first");
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST_F(PretrainProgram, OneModelAndWhatItsUnitsComeFrom) {
  const std::string quick = " pretrain.json pretrain.models.second.steps=1 pretrain.models.first.steps=1";
  RunResult run = place_.run("pretrain --only first" + quick);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("2 models, 0 done before, 1 done now"));
  EXPECT_EQ(weights("output").size(), 1U);
  run = place_.run("pretrain --only second" + quick);
  EXPECT_THAT(run.out, HasSubstr("2 models, 1 done before, 1 done now"));
  run = place_.run("pretrain --only secnod" + quick);
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err, HasSubstr("there is no model \"secnod\", did you mean \"second\"?"));
}

TEST_F(PretrainProgram, UtterancesHeldOutAreNeverRead) {
  // The test split's files are there and are no audio: reading one would be an error that is told.
  const std::string test = place_.read("manifests/sid.test.txt");
  for (std::size_t at = 0; at < test.size(); at += 5)
    place_.write("manifests/audio/" + test.substr(at, 4) + ".wav", "no audio");
  const RunResult run =
      place_.run("pretrain pretrain.json pretrain.models.second.steps=1 pretrain.models.first.steps=1");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, Not(HasSubstr("is left out")));
}

TEST_F(PretrainProgram, WhatCannotBeDecodedIsNamedAndLeftOut) {
  place_.write("manifests/audio/u008.wav", "no audio");
  const RunResult run =
      place_.run("pretrain pretrain.json pretrain.models.second.steps=1 pretrain.models.first.steps=1", 2);
  EXPECT_EQ(run.code, 3) << run.err;
  EXPECT_THAT(run.err, HasSubstr("utterance \"u008\" is left out"));
  EXPECT_THAT(run.out, HasSubstr("2 done now; 1 utterances could not be decoded"));
}

TEST_F(PretrainProgram, KilledAndStoppedItContinuesBitForBit) {
  const std::string longer = "pretrain pretrain.json pretrain.models.first.steps=60 ";
  ASSERT_EQ(place_.run(longer + "output=whole", 2).code, 0);
  const std::string trains = "ls output/pretrain/training/first-*/checkpoint.safetensors";
  EXPECT_EQ(place_.run_until(longer, 2, trains, "kill -9 $(rank 1)").code, 137);
  EXPECT_EQ(
      place_.run_until(longer, 2, "grep -q resumed output/pretrain/training/first-*/journal.jsonl", "kill -USR1 $run")
          .code,
      75);
  RunResult run = place_.run(longer, 2);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(weights("output") == weights("whole"));
  EXPECT_TRUE(place_.files("output/pretrain/units", ".h5") == place_.files("whole/pretrain/units", ".h5"));

  // One process: every signal saves.
  const auto resumed = [](int times) {
    return "[ $(grep -c resumed parts/pretrain/training/first-*/journal.jsonl) -ge " + std::to_string(times) + " ]";
  };
  ASSERT_EQ(place_.run(longer + "output=one").code, 0);
  EXPECT_EQ(place_.run_until(longer + "output=parts", 0, "ls parts/pretrain/units", "kill -TERM $run").code, 75);
  EXPECT_EQ(place_.run_until(longer + "output=parts", 0, resumed(1), "kill -TERM $run").code, 75);
  EXPECT_EQ(place_.run_until(longer + "output=parts", 0, resumed(2), "kill -9 $run").code, 137);
  run = place_.run(longer + "output=parts");
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(weights("parts") == weights("one"));
}

TEST_F(PretrainProgram, ASecondOneIsTold) {
  const RunResult run =
      place_.run_until("pretrain pretrain.json pretrain.models.first.steps=200", 0, "ls output/pretrain/owner.json",
                       "kill -STOP $run; $program pretrain pretrain.json >second 2>&1; echo $? >>second; kill -CONT "
                       "$run; kill -TERM $run");
  EXPECT_EQ(run.code, 75) << run.err;
  EXPECT_THAT(place_.read("second"),
              AllOf(HasSubstr("strata pretrain (process "), HasSubstr("is working here"), HasSubstr("\n1\n")));
}

TEST_F(PretrainProgram, WrongStudiesAreErrorsBeforeWork) {
  const auto error = [&](const std::string& overrides) {
    const RunResult run = place_.run("pretrain pretrain.json " + overrides, 2);
    EXPECT_EQ(run.code, 2) << overrides << run.err;
    EXPECT_EQ(run.times_in_err("strata: error:"), 1) << run.err;
    return run.err;
  };
  EXPECT_THAT(error("pretrain.models.first.stesp=3"),
              HasSubstr("/pretrain/models/first/stesp: unknown key, did you mean \"steps\"?"));
  EXPECT_THAT(error("'pretrain.speech.train=[\"tones/sid.test\"]'"), HasSubstr("nothing is left to train on"));
  EXPECT_THAT(error("pretrain.speech.min_seconds=1.5 'pretrain.speech.train=[\"tones/sid.dev\"]' "
                    "pretrain.speech.dev=[] pretrain.speech.max_seconds=2"),
              HasSubstr("of at least 1.5 s is left to train first on"));
  EXPECT_THAT(error("pretrain.models.first.objective.classes=100000"), HasSubstr("fewer than 100000 clusters"));
  EXPECT_THAT(error("pretrain.models.second.units.tap=h9"), HasSubstr("there is no tap \"h9\""));
  place_.write("manifests/utterances.jsonl", "");
  EXPECT_THAT(error(""), HasSubstr("manifests/utterances.jsonl"));
}

}  // namespace
}  // namespace strata

#include "trainers/pretrain/pretrainer.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/pretrain/voices.h"

namespace strata {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kClasses = 8;

/// A HuBERT of one layer: some milliseconds an utterance.
PretrainModel small_model(std::int64_t steps) {
  PretrainModel model;
  model.name = "small";
  model.objective = {{"type", "hubert"},        {"conv_channels", 16}, {"hidden_size", 32},   {"heads", 2},
                     {"intermediate_size", 64}, {"layers", 1},         {"classes", kClasses}, {"final_dim", 16},
                     {"mask_length", 3},        {"dropout", 0.1}};
  model.optimizer = {{"type", "adam"}, {"learning_rate", 3e-3}};
  model.schedule = {{"type", "linear"}, {"warmup_steps", 2}};
  model.steps = steps;
  model.batch_seconds = 5;
  model.log_every = 1;
  model.evaluate_every = 4;
  return model;
}

/// The made-up speech with its units, the same for all tests of a rank.
class PretrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = world_.broadcast(world_.rank() == 0 ? fresh_folder().string() : "", 0);
    voices_ = std::make_unique<Voices>(
        folder_, 30, [&] { world_.barrier(); }, world_.rank() == 0);
    std::vector<std::size_t> all(voices_->speech().size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    data_.speech = &voices_->speech();
    data_.train.assign(all.begin(), all.end() - 6);
    data_.dev.assign(all.end() - 6, all.end());
    data_.max_samples = 16000;  // some are longer: parts of them are taken
    UnitRequest request;
    request.clusters = kClasses;
    const auto objective = objective_of(small_model(1));
    request.count = [&](std::int64_t samples) { return objective->frames(samples); };
    units_ = Units::make(folder_ / "units", voices_->speech(), data_.train, mfcc_source(), request, world_, false);
    data_.units = &*units_;
  }
  void TearDown() override { world_.barrier(); }

  static std::unique_ptr<Objective> objective_of(const PretrainModel& model) {
    return ObjectiveRegistry::make(FieldReader(model.objective, "a test"));
  }

  /// Trains in `name`; 0: to the end, n: with a stop after every step, until it is done.
  std::vector<Json> train(const PretrainModel& model, const std::string& name, const Communicator& ranks,
                          bool stops = false) {
    for (;;) {
      const auto objective = objective_of(model);
      Pretrainer trainer(model, *objective, data_, folder_ / name, "fingerprint", ranks);
      if (stops) request_stop(SIGTERM);
      const bool done = trainer.run(false);
      request_stop(0);
      EXPECT_EQ(done, !stops || trainer.step() == model.steps);
      if (done) return trainer.history();
    }
  }

  const Communicator world_ = Communicator::world();
  fs::path folder_;
  std::unique_ptr<Voices> voices_;
  std::optional<Units> units_;
  PretrainData data_;
};

std::vector<double> losses(const std::vector<Json>& history) {
  std::vector<double> all;
  for (const Json& event : history) {
    if (event.at("event") == "step") all.push_back(event.at("loss"));
  }
  return all;
}

Json last_evaluation(const std::vector<Json>& history) {
  Json last;
  for (const Json& event : history) {
    if (event.at("event") == "evaluation") last = event.at("dev");
  }
  return last;
}

TEST_F(PretrainerTest, LearnsToPredictUnits) {
  PretrainModel model = small_model(150);
  model.objective["dropout"] = 0.0;
  const std::vector<Json> history = train(model, "learns", world_);
  const std::vector<double> all = losses(history);
  ASSERT_EQ(all.size(), 150U);
  const double first = std::accumulate(all.begin(), all.begin() + 5, 0.0) / 5,
               last = std::accumulate(all.end() - 5, all.end(), 0.0) / 5;
  EXPECT_LT(last, 0.9 * first);
  const Json dev = last_evaluation(history);
  EXPECT_LT(dev.at("loss").get<double>(), 0.9 * first);
  EXPECT_GT(dev.at("accuracy").get<double>(), 2.0 / kClasses) << dev;
}

/// Equal but for rounding, step by step.
void expect_near(const std::vector<Json>& history, const std::vector<Json>& expected) {
  ASSERT_EQ(history.size(), expected.size());
  for (std::size_t i = 0; i < history.size(); ++i) {
    const bool step = expected[i].at("event") == "step";
    const Json &a = step ? history[i] : history[i].at("dev"), &b = step ? expected[i] : expected[i].at("dev");
    EXPECT_NEAR(a.at("loss").get<double>(), b.at("loss").get<double>(), 2e-5 * b.at("loss").get<double>()) << i;
    if (!step) continue;
    EXPECT_NEAR(a.at("grad_norm").get<double>(), b.at("grad_norm").get<double>(),
                1e-3 * b.at("grad_norm").get<double>())
        << i;
    EXPECT_EQ(a.at("audio_seconds"), b.at("audio_seconds"));
  }
}

TEST_F(PretrainerTest, EveryStepIsThatOfOneRank) {
  const Communicator alone = world_.split(world_.rank());
  const std::vector<Json> together = train(small_model(12), "together", world_);
  expect_near(train(small_model(12), "alone" + std::to_string(world_.rank()), alone), together);
}

TEST_F(PretrainerTest, EveryStepIsThatOfOneUtteranceAtATime) {
  const std::vector<Json> together = train(small_model(12), "together", world_);
  data_.graph_samples = 1;
  expect_near(train(small_model(12), "each", world_), together);
}

TEST_F(PretrainerTest, StoppedAtEveryStepItIsTheUninterruptedOneBitForBit) {
  const auto without_times = [](std::vector<Json> history) {
    for (Json& event : history) {
      event.erase("seconds");
      event.erase("audio_seconds_per_second");
    }
    return history;
  };
  const std::vector<Json> whole = train(small_model(9), "whole", world_),
                          parts = train(small_model(9), "parts", world_, true);
  EXPECT_EQ(without_times(whole), without_times(parts));
  world_.barrier();
  const NamedTensors a = read_safetensors(folder_ / "whole/checkpoint.safetensors"),
                     b = read_safetensors(folder_ / "parts/checkpoint.safetensors");
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  if (world_.rank() != 0) return;
  EXPECT_EQ(Journal::replay(folder_ / "whole/journal.jsonl").size(), whole.size());
  EXPECT_GT(Journal::replay(folder_ / "parts/journal.jsonl").size(), whole.size()) << "with the resumptions";
}

TEST_F(PretrainerTest, SeedsDiffer) {
  PretrainModel other = small_model(3);
  other.seed = 1;
  EXPECT_NE(losses(train(small_model(3), "seed0", world_)), losses(train(other, "seed1", world_)));
}

TEST_F(PretrainerTest, TheBestWeightsAreThoseOfTheBestEvaluation) {
  PretrainModel model = small_model(8);
  model.keep = "best";
  model.optimizer["learning_rate"] =
      1e-9;  // the first evaluation, at step 4, and the second differ by nothing that matters
  const auto objective = objective_of(model);
  Pretrainer trainer(model, *objective, data_, folder_ / "best", "fingerprint", world_);
  ASSERT_TRUE(trainer.run(false));
  world_.barrier();
  const NamedTensors saved = read_safetensors(folder_ / "best/checkpoint.safetensors");
  std::int64_t offset = 0;
  const Parameters chosen = trainer.chosen();
  for (const auto& [name, tensor] : chosen.items()) {
    EXPECT_TRUE(at::equal(tensor.flatten(), saved.at("best").narrow(0, offset, tensor.numel()))) << name;
    offset += tensor.numel();
  }
}

TEST_F(PretrainerTest, TheCheckpointOfAnotherRunAndABrokenOneAreRefused) {
  const PretrainModel model = small_model(3);
  train(model, "run", world_);
  world_.barrier();
  const auto objective = objective_of(model);
  const auto open = [&](const char* fingerprint) {
    return error_of<DataError>([&] { Pretrainer(model, *objective, data_, folder_ / "run", fingerprint, world_); });
  };
  EXPECT_THAT(open("another"), HasSubstr("checkpoint of another training"));
  const std::string whole = read_file(folder_ / "run/checkpoint.safetensors");
  world_.barrier();
  if (world_.rank() == 0)
    write_file_atomically(folder_ / "run/checkpoint.safetensors", whole.substr(0, whole.size() / 2));
  world_.barrier();
  EXPECT_THAT(open("fingerprint"), HasSubstr("checkpoint.safetensors"));
}

TEST_F(PretrainerTest, DivergenceIsAnError) {
  PretrainModel model = small_model(30);
  model.optimizer["learning_rate"] = 1e30;
  model.clip = 0;
  EXPECT_THAT(error_of<Error>([&] { train(model, "diverges", world_); }), HasSubstr("the training of small diverged"));
}

}  // namespace
}  // namespace strata

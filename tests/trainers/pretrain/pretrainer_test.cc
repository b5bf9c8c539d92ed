#include "trainers/pretrain/pretrainer.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"
#include "distributed/device.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/pretrain/voices.h"

namespace strata {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kClasses = 8;

/// A model of a layer or three: some milliseconds an utterance.
PretrainModel small_model(std::int64_t steps, const std::string& type = "hubert") {
  PretrainModel model;
  model.name = "small";
  model.objective = {{"type", type},  {"conv_channels", 16},     {"hidden_size", 32},
                     {"heads", 2},    {"intermediate_size", 64}, {"mask_length", 3},
                     {"dropout", 0.1}};
  if (type == "data2vec") {
    // A teacher that is soon far from its start, and not yet the student.
    model.objective.update({{"layers", 2}, {"average_top_layers", 2}, {"ema_decay", 0.5}, {"ema_end_decay", 0.9}});
  } else {
    model.objective.update({{"classes", kClasses}, {"final_dim", 16}});
    model.objective["layers"] = type == "mrhubert" ? Json({1, 1, 1}) : Json(1);
  }
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
      Pretrainer trainer(model, *objective, data_, folder_ / name, "fingerprint", ranks, device_);
      if (stops) request_stop(SIGTERM);
      const bool done = trainer.run(false);
      request_stop(0);
      EXPECT_EQ(done, !stops || trainer.step() == model.steps);
      if (done) return trainer.history();
    }
  }

  const Communicator world_ = Communicator::world();
  // pretrainer_gpu_test is this program on GPUs.
  const c10::Device device_ = choose_device(std::getenv("STRATA_TEST_DEVICE") ? "cuda" : "cpu", world_);
  fs::path folder_;
  std::unique_ptr<Voices> voices_;
  std::optional<Units> units_;
  PretrainData data_;
};

/// What holds whatever is learnt.
class PretrainerOf : public PretrainerTest, public testing::WithParamInterface<std::string> {
 protected:
  static PretrainModel model(std::int64_t steps) { return small_model(steps, GetParam()); }
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

TEST_P(PretrainerOf, EveryStepIsThatOfOneRank) {
  const Communicator alone = world_.split(world_.rank());
  const std::vector<Json> together = train(model(6), "together", world_);
  expect_near(train(model(6), "alone" + std::to_string(world_.rank()), alone), together);
}

TEST_P(PretrainerOf, EveryStepIsThatOfOneUtteranceAtATime) {
  const std::vector<Json> together = train(model(6), "together", world_);
  data_.graph_samples = 1;
  expect_near(train(model(6), "each", world_), together);
}

TEST_P(PretrainerOf, StoppedAtEveryStepItIsTheUninterruptedOneBitForBit) {
  const auto without_times = [](std::vector<Json> history) {
    for (Json& event : history) {
      event.erase("seconds");
      event.erase("audio_seconds_per_second");
    }
    return history;
  };
  const std::vector<Json> whole = train(model(9), "whole", world_), parts = train(model(9), "parts", world_, true);
  EXPECT_EQ(without_times(whole), without_times(parts));
  world_.barrier();
  const NamedTensors a = read_safetensors(folder_ / "whole/checkpoint.safetensors"),
                     b = read_safetensors(folder_ / "parts/checkpoint.safetensors");
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  const bool teacher = std::any_of(a.begin(), a.end(), [](const auto& t) { return t.first.starts_with("objective."); });
  EXPECT_EQ(teacher, GetParam() == "data2vec");
  if (world_.rank() != 0) return;
  EXPECT_EQ(Journal::replay(folder_ / "whole/journal.jsonl").size(), whole.size());
  EXPECT_GT(Journal::replay(folder_ / "parts/journal.jsonl").size(), whole.size()) << "with the resumptions";
}

INSTANTIATE_TEST_SUITE_P(Objectives, PretrainerOf, testing::ValuesIn(ObjectiveRegistry::names()),
                         [](const auto& name) { return name.param; });

TEST_F(PretrainerTest, SeedsDiffer) {
  PretrainModel other = small_model(3);
  other.seed = 1;
  EXPECT_NE(losses(train(small_model(3), "seed0", world_)), losses(train(other, "seed1", world_)));
}

// At a rate at which the loss rises again at once: what is kept is what a training to that step alone ends with.
TEST_F(PretrainerTest, TheBestWeightsAreThoseOfTheBestEvaluation) {
  PretrainModel model = small_model(6);
  model.keep = "best";
  model.evaluate_every = 2;
  model.optimizer["learning_rate"] = 0.1;
  model.schedule = {{"type", "constant"}};
  const auto run = [&](const std::string& name) {
    const auto objective = objective_of(model);
    Pretrainer trainer(model, *objective, data_, folder_ / name, "fingerprint", world_, device_);
    EXPECT_TRUE(trainer.run(false));
    const Parameters chosen = trainer.chosen();
    std::vector<at::Tensor> values;
    for (const auto& [parameter, tensor] : chosen.items()) values.push_back(tensor.detach().flatten());
    return std::pair(trainer.history(), at::cat(values).clone());
  };
  const auto [history, best] = run("best");
  double least = std::numeric_limits<double>::infinity();
  for (const Json& event : history) {
    if (event.at("event") != "evaluation" || event.at("dev").at("loss").get<double>() >= least) continue;
    least = event.at("dev").at("loss");
    model.steps = event.at("step");
  }
  ASSERT_LT(model.steps, 6) << "of no use if the loss never rises";
  model.keep = "last";
  EXPECT_TRUE(at::equal(run("to_there").second, best));
  model.steps = 6;
  EXPECT_FALSE(at::equal(run("last").second, best));
}

TEST_F(PretrainerTest, SaysHowItGoesAndOnceThatItCollapsed) {
  const auto told = [&](const PretrainModel& model, const std::string& name) {
    world_.barrier();
    testing::internal::CaptureStderr();
    train(model, name, world_);
    return testing::internal::GetCapturedStderr();
  };
  PretrainModel model = small_model(8);
  std::string text = told(model, "units");
  if (world_.rank() == 0) {
    EXPECT_THAT(text, testing::ContainsRegex("small: step 4 of 8: on dev loss [0-9.]+, accuracy [0-9.]+%\n"));
  } else {
    EXPECT_THAT(text, testing::Not(HasSubstr("on dev loss")));
  }
  model = small_model(8, "data2vec");
  text = told(model, "spreads");
  EXPECT_THAT(text, testing::Not(HasSubstr("collapsed")));
  EXPECT_EQ(text.find(", spread of the targets 0.") != std::string::npos, world_.rank() == 0) << text;
  // Each step takes all weights to next to nothing.
  model.optimizer = {{"type", "adamw"}, {"learning_rate", 1e-3}, {"weight_decay", 1000}};
  text = told(model, "collapses");
  const std::size_t warning = text.find("has collapsed");
  EXPECT_EQ(warning != std::string::npos, world_.rank() == 0) << text;
  EXPECT_EQ(text.find("has collapsed", warning + 1), std::string::npos) << text;
}

// Of a run that began with a program that did not measure the predictions' spread.
TEST_F(PretrainerTest, ContinuesFromACheckpointWithoutThePredictionsSpread) {
  PretrainModel model = small_model(4, "data2vec");
  model.log_every = 4;
  model.save_every = 2;
  const auto objective = objective_of(model);
  const fs::path file = folder_ / "old/checkpoint.safetensors";
  request_stop(SIGTERM);
  Pretrainer(model, *objective, data_, folder_ / "old", "fingerprint", world_, device_).run(false);
  request_stop(0);
  world_.barrier();
  if (world_.rank() == 0) {
    std::map<std::string, std::string> metadata;
    const NamedTensors tensors = read_safetensors(file, &metadata);
    Json state = Json::parse(metadata.at("state"));
    ASSERT_EQ(state.at("sums").size(), 7U);
    state["sums"].erase(6);
    write_safetensors(file, tensors, {{"state", state.dump()}});
  }
  world_.barrier();
  const std::vector<Json> old = train(model, "old", world_), whole = train(model, "whole", world_);
  EXPECT_EQ(losses(old), losses(whole));
  EXPECT_FALSE(old.front().contains("prediction_spread")) << "of the first step it is not known";
  EXPECT_TRUE(old.back().at("dev").contains("prediction_spread"));
  EXPECT_TRUE(whole.front().contains("prediction_spread"));
}

TEST_F(PretrainerTest, TheCheckpointOfAnotherRunAndABrokenOneAreRefused) {
  const PretrainModel model = small_model(3);
  train(model, "run", world_);
  world_.barrier();
  const auto objective = objective_of(model);
  const auto open = [&](const char* fingerprint) {
    return error_of<DataError>(
        [&] { Pretrainer(model, *objective, data_, folder_ / "run", fingerprint, world_, device_); });
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

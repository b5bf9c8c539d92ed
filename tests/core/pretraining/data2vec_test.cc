#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/upstream.h"
#include "tests/core/pretraining/small_objective.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

TEST(Data2VecObjective, RegressesTheTeacherAtMaskedFrames) {
  const auto objective = small_objective("data2vec");
  const Start start(*objective);
  objective->start(start.parameters);
  const ObjectiveSums sums = objective->forward(start.parameters, small_utterance(*objective, 16000, 3), {});
  EXPECT_GT(sums.weight, 15);
  EXPECT_LT(sums.weight, 49);
  EXPECT_EQ(sums.predicted, 0);
  EXPECT_EQ(objective->classes(), 0);
  // Each layer's outputs have variance 1 over the frames; the mean of two has less.
  EXPECT_GT(sums.target_spread / sums.weight, 0.3);
  EXPECT_LT(sums.target_spread / sums.weight, 1.2);
  EXPECT_GT(sums.prediction_spread / sums.weight, 0.01);
  EXPECT_LT(sums.prediction_spread / sums.weight, 10);
}

// With every frame masked the student knows nothing of the wave, and what a teacher that heard as little would say were
// the same for all waves.
TEST(Data2VecObjective, TheTeacherHearsTheUtteranceUnmaskedAndWithoutDropout) {
  const auto objective = small_objective(
      "data2vec", {{"dropout", 0.5}, {"mask_probability", 1}, {"mask_length", 1}, {"mask_spans", 1000}});
  const Start start(*objective, at::kDouble);
  objective->start(start.parameters);
  PretrainUtterance utterance = small_utterance(*objective, 8000, 3, at::kDouble);
  const double spread = objective->forward(start.parameters, utterance, {1, 1, true}).target_spread;
  EXPECT_EQ(objective->forward(start.parameters, utterance, {1, 2, true}).target_spread, spread);
  utterance.wave = small_utterance(*objective, 8000, 4, at::kDouble).wave;
  const double other = objective->forward(start.parameters, utterance, {1, 1, true}).target_spread;
  EXPECT_GT(std::abs(other - spread), 1e-4 * spread);
}

TEST(Data2VecObjective, ACollapsedTeacherShows) {
  const auto objective = small_objective("data2vec");
  const Start start(*objective);
  for (const auto& [name, values] : start.parameters.items()) {
    const c10::NoGradGuard changing;
    if (name.ends_with("output_dense.weight")) values.zero_();
  }
  objective->start(start.parameters);
  const ObjectiveSums sums = objective->forward(start.parameters, small_utterance(*objective, 8000, 3), {});
  EXPECT_LT(sums.target_spread / sums.weight, 0.01);
  EXPECT_GT(sums.prediction_spread / sums.weight, 0.01) << "the student has not";
  for (const auto& [name, values] : start.parameters.items()) {
    const c10::NoGradGuard changing;
    if (name == "final_proj.weight") values.zero_();
  }
  const ObjectiveSums mute = objective->forward(start.parameters, small_utterance(*objective, 8000, 3), {});
  EXPECT_LT(mute.prediction_spread / mute.weight, 0.01);
}

TEST(Data2VecObjective, TheTeacherFollowsTheStudent) {
  const auto objective = small_objective("data2vec", {{"ema_decay", 0.5}, {"ema_end_decay", 0.5}});
  const Start start(*objective), later(*objective, at::kFloat, 2);
  objective->start(start.parameters);
  const std::string name = "encoder.layers.0.attention.q_proj.weight";
  objective->after_step(later.parameters, 1);
  const at::Tensor want = 0.5 * (start.parameters[name] + later.parameters[name]).detach();
  EXPECT_LT((objective->state().at(name) - want).abs().max().item<double>(), 1e-7);
}

TEST(Data2VecObjective, WritesTheStudentForHuggingFace) {
  const auto objective = small_objective("data2vec");
  const Start start(*objective);
  const std::string folder = testing::TempDir() + "/data2vec_written";
  objective->write_model(folder, start.parameters);
  EXPECT_EQ(read_json(fs::path(folder) / "config.json").at("model_type"), "data2vec-audio");
  const auto upstream = open_upstream(folder, {}, FieldReader(Json::object(), "test"));
  EXPECT_THAT(upstream->default_taps(), testing::ElementsAre("h0", "h1", "h2", "h3", "h4"));
  for (const auto& [name, stored] : upstream->weights())
    EXPECT_TRUE(stored.equal(start.parameters[name].detach().to(at::kHalf))) << name;
}

TEST(Data2VecObjective, RefusesMoreTopLayersThanThereAre) {
  EXPECT_EQ(error_of<ConfigError>([] {
              small_objective("data2vec", {{"average_top_layers", 5}});
            }),
            "average_top_layers is 5, but there are 4 layers");
}

}  // namespace
}  // namespace strata

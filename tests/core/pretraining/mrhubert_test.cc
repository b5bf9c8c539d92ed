#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/pretraining/unit_head.h"
#include "core/upstreams/upstream.h"
#include "tests/core/pretraining/small_objective.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_of(const Objective& objective) {
  std::vector<std::string> names;
  for (const ParameterSpec& spec : objective.specs()) names.push_back(spec.name);
  return names;
}

double loss_of(const Json& options) {
  const auto objective = small_objective("mrhubert", options);
  const Start start(*objective, at::kDouble);
  return objective->forward(start.parameters, small_utterance(*objective, 16000, 3, at::kDouble), {})
      .loss.item<double>();
}

// Every second frame and every second unit: of 0 .. 6 masked 1, 2, 5, 6, at half the rate 1 (of 2) and 3 (of 6).
TEST(MrHubertObjective, TakesEverySecondUnitAtHalfTheRate) {
  const PredictedFrames fine{{1, 2, 5, 6}, integers({10, 11, 12, 13, 14, 15, 16}), {1, 2, 5, 6}, {0, 3, 4}};
  const PredictedFrames slow = at_slower_rate(fine, 2);
  EXPECT_THAT(slow.masked, ElementsAre(1, 3));
  EXPECT_THAT(slow.predicted, ElementsAre(1, 3));
  EXPECT_THAT(slow.others, ElementsAre(0, 2));
  EXPECT_TRUE(slow.units.equal(integers({10, 12, 14, 16})));
  EXPECT_THAT(at_slower_rate(fine, 1).predicted, ElementsAre(1, 2, 5, 6));
}

TEST(MrHubertObjective, HasAHeadForEachRateOrOneOnly) {
  EXPECT_THAT(names_of(*small_objective("mrhubert")),
              testing::IsSupersetOf({"final_projs.0.weight", "final_projs.1.weight", "label_embs_concat.1"}));
  EXPECT_THAT(names_of(*small_objective("mrhubert", {{"low_resolution_loss", false}})),
              testing::Not(testing::Contains("final_projs.1.weight")));
}

TEST(MrHubertObjective, EachPartIsASwitch) {
  const double both = loss_of(Json::object()), finest = loss_of({{"low_resolution_loss", false}});
  EXPECT_GT(both, 1.2 * finest) << "the slower rate adds a loss over half as many frames";
  EXPECT_NE(loss_of({{"low_resolution_loss", false}, {"downsample", false}}), finest);
  EXPECT_GT(loss_of({{"downsample", false}}), both) << "the same number of frames twice";
  EXPECT_GT(loss_of({{"resolutions", 3}, {"layers", {1, 1, 1, 1, 1}}}), both);
  EXPECT_NE(loss_of({{"plain_adapters", true}}), both);
  EXPECT_NE(loss_of({{"adapter_kernel", 3}}), both);
}

// The weight is that of the finest rate, and so is the accuracy, however many rates have a loss.
TEST(MrHubertObjective, CountsTheFinestFrames) {
  const auto objective = small_objective("mrhubert");
  const auto finest = small_objective("mrhubert", {{"low_resolution_loss", false}});
  const Start start(*objective), other(*finest);
  const PretrainUtterance utterance = small_utterance(*objective, 16000, 3);
  const ObjectiveSums sums = objective->forward(start.parameters, utterance, {});
  const ObjectiveSums want = finest->forward(other.parameters, utterance, {});
  EXPECT_EQ(sums.weight, want.weight) << "of the same mask";
  EXPECT_EQ(sums.predicted, want.predicted);
}

TEST(MrHubertObjective, LearnsFromUtterancesOfAnyLength) {
  const auto objective =
      small_objective("mrhubert", {{"resolutions", 3}, {"layers", {1, 1, 1, 1, 1}}, {"unmasked_weight", 1}});
  const Start start(*objective);
  for (const std::int64_t samples : {400, 719, 720, 1040, 1360, 4000, 4320}) {
    const ObjectiveSums sums = objective->forward(start.parameters, small_utterance(*objective, samples, 3), {});
    EXPECT_EQ(sums.weight, objective->frames(samples)) << samples;
    sums.loss.backward();
  }
}

TEST(MrHubertObjective, WritesFairseqsNamesAndOrderOfLayers) {
  const auto objective = small_objective("mrhubert", {{"resolutions", 3}, {"layers", {1, 2, 1, 3, 1}}});
  const Start start(*objective);
  const std::string folder = testing::TempDir() + "/mrhubert_written";
  objective->write_model(folder, start.parameters);
  const Json config = read_json(fs::path(folder) / "config.json");
  EXPECT_EQ(config.at("override_encoder_layers"), "[1,2,1,1,3]");
  EXPECT_EQ(config.at("label_rate_ratios"), Json({1, 2, 1, 2}));
  const NamedTensors stored = read_safetensors(fs::path(folder) / "model.safetensors");
  for (const char* name : {"mask_emb", "post_extract_proj.weight", "encoders.0.pos_conv.0.weight_g",
                           "feature_extractor.conv_layers.0.2.weight", "decoders.0.layers.2.self_attn.q_proj.bias",
                           "middle_encoder.layer_norm.weight", "upsample_modules.1.upsample_conv.0.weight"}) {
    EXPECT_TRUE(stored.contains(name)) << name;
  }
  const auto upstream = open_upstream(folder, {}, FieldReader(Json::object(), "test"));
  EXPECT_THAT(upstream->default_taps(), ElementsAre("e0.0", "e0.out", "e1.0", "e1.1", "e1.out", "m.0", "m.out", "d0.0",
                                                    "d0.1", "d0.2", "d0.out", "d1.0", "d1.out"));
}

TEST(MrHubertObjective, WritesTheNormsOfLargeModels) {
  const auto objective = small_objective(
      "mrhubert", {{"feat_extract_norm", "layer"}, {"do_stable_layer_norm", true}, {"conv_bias", true}});
  const Start start(*objective);
  const std::string folder = testing::TempDir() + "/mrhubert_large_written";
  objective->write_model(folder, start.parameters);
  const Json config = read_json(fs::path(folder) / "config.json");
  EXPECT_EQ(config.at("extractor_mode"), "layer_norm");
  EXPECT_EQ(config.at("layer_norm_first"), true);
  EXPECT_EQ(config.at("conv_bias"), true);
  const NamedTensors stored = read_safetensors(fs::path(folder) / "model.safetensors");
  for (const char* name : {"feature_extractor.conv_layers.3.2.1.weight", "feature_extractor.conv_layers.3.0.bias"})
    EXPECT_TRUE(stored.contains(name)) << name;
}

TEST(MrHubertObjective, RefusesSizesThatDoNotFit) {
  const auto message = [](const Json& options) {
    return error_of<ConfigError>([&] { small_objective("mrhubert", options); });
  };
  EXPECT_EQ(message({{"layers", {1, 1}}}), "layers has 2 entries; 2 resolutions take 3");
  EXPECT_EQ(message({{"layers", {1, 0, 1}}}), "layers has the entry 0; each takes at least 1");
  EXPECT_EQ(message({{"adapter_kernel", 2}}), "adapter_kernel is 2, but must be odd");
  EXPECT_THAT(message({{"resolutions", 1}}), HasSubstr("/resolutions"));
}

}  // namespace
}  // namespace strata

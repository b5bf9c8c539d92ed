#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/speech_encoder.h"
#include "core/upstreams/upstream.h"
#include "tests/core/pretraining/small_objective.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

double loss_of(const Json& options, const Pass& pass = {}) {
  const auto objective = small_objective("hubert", options);
  const Start start(*objective, at::kDouble);
  const ObjectiveSums sums =
      objective->forward(start.parameters, small_utterance(*objective, 8000, 3, at::kDouble), pass);
  return sums.loss.item<double>();
}

TEST(HubertObjective, PredictsMaskedFramesAmongTheUnits) {
  const auto objective = small_objective("hubert");
  const Start start(*objective);
  const PretrainUtterance utterance = small_utterance(*objective, 16000, 3);
  const ObjectiveSums sums = objective->forward(start.parameters, utterance, {});
  EXPECT_GT(sums.weight, 15);
  EXPECT_LT(sums.weight, 49);
  EXPECT_EQ(sums.predicted, sums.weight);
  EXPECT_GE(sums.correct, 0);
  EXPECT_LE(sums.correct, sums.predicted);
  EXPECT_EQ(objective->classes(), 5);
  EXPECT_EQ(objective->unit_hop_samples(), 320);
  EXPECT_EQ(objective->frames(16000), 49);
}

TEST(HubertObjective, AddsThePenaltyInProportion) {
  const double without = loss_of({{"feature_penalty", 0}}), once = loss_of({{"feature_penalty", 1}}),
               tenfold = loss_of({{"feature_penalty", 10}});
  EXPECT_GT(once, without);
  EXPECT_NEAR(tenfold - without, 10 * (once - without), 1e-9 * tenfold);
  EXPECT_EQ(loss_of(Json::object()), tenfold) << "fairseq's weight is the default";
}

TEST(HubertObjective, CountsTheOtherFramesIfAsked) {
  const auto objective = small_objective("hubert", {{"unmasked_weight", 0.5}});
  const auto plain = small_objective("hubert");
  const Start start(*objective);
  const PretrainUtterance utterance = small_utterance(*objective, 8000, 3);
  const ObjectiveSums both = objective->forward(start.parameters, utterance, {});
  EXPECT_EQ(both.weight, objective->frames(8000)) << "each frame is masked or not";
  EXPECT_EQ(both.predicted, plain->forward(start.parameters, utterance, {}).predicted)
      << "accuracy is of masked frames";
  const auto weighted = [](double weight) { return loss_of({{"unmasked_weight", weight}, {"feature_penalty", 0}}); };
  const double masked = weighted(0), others = weighted(1) - masked;
  EXPECT_GT(others, 0.1 * masked);
  EXPECT_NEAR(weighted(0.5) - masked, 0.5 * others, 1e-9 * masked);
}

TEST(HubertObjective, SeesNothingOfMaskedFrames) {
  // With every frame masked, the wave only moves the penalty.
  const auto objective = small_objective(
      "hubert", {{"feature_penalty", 0}, {"mask_probability", 1}, {"mask_length", 1}, {"mask_spans", 1000}});
  const Start start(*objective, at::kDouble);
  PretrainUtterance utterance = small_utterance(*objective, 8000, 3, at::kDouble);
  const double loss = objective->forward(start.parameters, utterance, {}).loss.item<double>();
  utterance.wave = utterance.wave.flip(0);
  EXPECT_NEAR(objective->forward(start.parameters, utterance, {}).loss.item<double>(), loss, 1e-9);
}

TEST(HubertObjective, RefusesUtterancesItCannotLearnFrom) {
  const auto objective = small_objective("hubert");
  const Start start(*objective);
  const auto message = [&](const PretrainUtterance& utterance) {
    return error_of<DataError>([&] { objective->forward(start.parameters, utterance, {}); });
  };
  PretrainUtterance utterance = small_utterance(*objective, 8000, 3);
  utterance.units = utterance.units.narrow(0, 0, 22);  // of 24: other analyses may count a little fewer
  EXPECT_GT(objective->forward(start.parameters, utterance, {}).weight, 0);
  utterance.units = utterance.units.narrow(0, 0, 21);
  EXPECT_EQ(message(utterance), "an utterance of 24 frames has 21 units; expected one each");
  utterance.units = at::Tensor();
  EXPECT_EQ(message(utterance), "an utterance without units cannot be learnt from");
  EXPECT_THAT(message({1, utterance.wave.narrow(0, 0, 399), {}}), HasSubstr("399 samples is too short"));
}

// Whoever opens the folder computes what was trained, with the weights rounded to float16.
void check_written(const std::string& name, const Json& options) {
  SCOPED_TRACE(name);
  const auto objective = small_objective("hubert", options);
  const Start start(*objective);
  start.flat.add_(0.02);  // so that biases count
  const std::string folder = testing::TempDir() + "/hubert_written_" + name;
  objective->write_model(folder, start.parameters);
  const auto upstream = open_upstream(folder, {}, FieldReader(Json::object(), "test"));
  NamedTensors rounded;
  for (const auto& [name, tensor] : start.parameters.items()) rounded[name] = tensor.detach().to(at::kHalf);
  EncoderConfig config = read_encoder_config(read_json(fs::path(folder) / "config.json"), "config", {}, hubert_fields);
  const SpeechEncoder encoder(config, WeightReader(rounded, "test", at::kFloat));
  TapCollector taps(encoder_spec(config), {4});
  const at::Tensor wave = small_utterance(*objective, 16000, 3).wave;
  encoder(encoder.stem(normalize_wave(wave, {true})), taps);
  const at::Tensor want = std::move(taps).states()[0];
  const at::Tensor got = upstream->forward(wave, {4})[0];
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-5 * want.abs().max().item<double>());
  EXPECT_FALSE(upstream->weights().contains("final_proj.weight"));
  EXPECT_TRUE(read_json(fs::path(folder) / "preprocessor_config.json").at("do_normalize").get<bool>());
}

TEST(HubertObjective, WritesTheEncoderThatItTrains) {
  check_written("base", Json::object());
  check_written("large", {{"feat_extract_norm", "layer"}, {"do_stable_layer_norm", true}, {"conv_bias", true}});
}

TEST(HubertObjective, RefusesSizesThatDoNotFit) {
  EXPECT_THAT(error_of<ConfigError>([] {
                small_objective("hubert", {{"heads", 5}});
              }),
              HasSubstr("hidden_size 32 is no multiple of"));
  EXPECT_THAT(error_of<ConfigError>([] {
                small_objective("hubert", {{"mask_lenght", 5}});
              }),
              HasSubstr("did you mean \"mask_length\"?"));
}

}  // namespace
}  // namespace strata

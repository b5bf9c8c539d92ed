#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

TEST(Wav2Vec2, EveryContainerOfTheSameWeightsHasTheSameFingerprint) {
  const std::string original = ModelFolder("wav2vec2-group").open()->fingerprint();
  int variants = 0;
  for (const auto& variant : fs::directory_iterator("tests/golden/upstreams/wav2vec2-group/variants")) {
    const std::string name = variant.path().filename().string();
    EXPECT_EQ(ModelFolder("wav2vec2-group/variants/" + name).open()->fingerprint(), original) << name;
    ++variants;
  }
  EXPECT_EQ(variants, 6);
}

TEST(Wav2Vec2, RefusesAnIndexThatItsShardsDoNotKeep) {
  ModelFolder folder("wav2vec2-group/variants/sharded");
  folder.change_json("model.safetensors.index.json", [](Json& index) {
    index["weight_map"]["encoder.layers.9.layer_norm.bias"] = index["weight_map"].begin().value();
  });
  EXPECT_THAT(
      folder.shorten(error_of<ConfigError>([&] { folder.open(); })),
      testing::MatchesRegex("/model-0000[12]-of-00002.safetensors: weight encoder.layers.9.layer_norm.bias is missing, "
                            "which model.safetensors.index.json says is there"));
  folder.change_json("model.safetensors.index.json",
                     [](Json& index) { index["weight_map"].begin().value() = "../other.safetensors"; });
  EXPECT_THAT(error_of<ConfigError>([&] { folder.open(); }),
              testing::HasSubstr("there is no file \"../other.safetensors\" in the folder"));
}

TEST(Wav2Vec2, RefusesAWeightWithAndWithoutPrefix) {
  ModelFolder folder("wav2vec2-group");
  folder.change_weights([](NamedTensors& w) { w["wav2vec2.encoder.layer_norm.bias"] = at::zeros({32}); });
  EXPECT_EQ(folder.shorten(error_of<ConfigError>([&] { folder.open(); })),
            ": weight encoder.layer_norm.bias is there twice, with and without \"wav2vec2.\" before it");
}

TEST(Wav2Vec2, LoadsAStemBiasThatTheConfigDoesNotMentionButWantsOneThatItDoes) {
  ModelFolder unmentioned("wav2vec2-group");
  unmentioned.change_weights([](NamedTensors& w) { w["feature_extractor.conv_layers.2.conv.bias"] = at::ones({24}); });
  const at::Tensor wave = at::sin(at::arange(2000, at::kFloat) / 5);
  EXPECT_FALSE(
      unmentioned.open()->forward(wave, {0})[0].allclose(ModelFolder("wav2vec2-group").open()->forward(wave, {0})[0]));
  ModelFolder mentioned("wav2vec2-group");
  mentioned.change_json("config.json", [](Json& config) { config["conv_bias"] = true; });
  EXPECT_EQ(mentioned.shorten(error_of<ConfigError>([&] { mentioned.open(); })),
            ": weight feature_extractor.conv_layers.0.conv.bias: it is missing; expected [24]");
}

}  // namespace
}  // namespace strata

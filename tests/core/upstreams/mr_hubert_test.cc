#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/upstreams/conv_adapter.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// An adapter of 3 channels whose convolutions and group norms are zero: what remains are its residual paths.
ConvAdapter residuals(RateRatio ratio, std::int64_t kernel, bool plain = false) {
  NamedTensors weights;
  for (const char* half : {"upsample_conv", "downsample_conv"}) {
    weights[std::string(half) + ".0.weight"] = at::zeros({3, 3, kernel}, at::kDouble);
    weights[std::string(half) + ".2.weight"] = at::ones({3}, at::kDouble);
    weights[std::string(half) + ".2.bias"] = at::zeros({3}, at::kDouble);
  }
  return ConvAdapter({3, ratio, 0, 0.4, plain}, WeightReader(weights, "here", at::kDouble));
}

TEST(ConvAdapter, WithoutItsConvolutionsKeepsAScaledCopy) {
  const at::Tensor x = at::arange(15, at::kDouble).view({5, 3});
  for (const RateRatio ratio : {RateRatio{1, 2}, {2, 1}, {2, 3}, {3, 2}, {1, 1}}) {
    const at::Tensor copy = x.repeat_interleave(ratio.r0, 0).slice(0, 0, std::nullopt, ratio.r1);
    EXPECT_LT((residuals(ratio, 7)(x) - 0.885438 * copy).abs().max().item<double>(), 1e-5);
  }
  EXPECT_LT((residuals({1, 2}, 1, true)(x) - 0.632456 * x.slice(0, 0, std::nullopt, 2)).abs().max().item<double>(),
            1e-5);
  EXPECT_LT((residuals({2, 1}, 1, true)(x) - 0.632456 * x.repeat_interleave(2, 0)).abs().max().item<double>(), 1e-5);
}

TEST(ConvAdapter, CountsItsFrames) {
  for (const auto& [ratio, frames] : {std::pair{RateRatio{1, 2}, 25}, {{2, 1}, 98}, {{2, 3}, 33}, {{3, 2}, 74}}) {
    for (const int kernel : {1, 7}) {
      const ConvAdapter adapter = residuals(ratio, kernel);
      EXPECT_EQ(adapter.frames(49), frames);
      EXPECT_EQ(adapter(at::zeros({49, 3}, at::kDouble)).size(0), frames);
    }
  }
}

TEST(MrHubert, GivesTheListOfS3prlThenTheSums) {
  const auto upstream = ModelFolder("mrhubert-large-like").open();
  EXPECT_THAT(upstream->default_taps(),
              testing::ElementsAre("e0.0", "e0.1", "e0.out", "m.0", "m.out", "d0.0", "d0.1", "d0.out"));
  EXPECT_EQ(upstream->spec().taps[2], (Tap{"e0.out", 32, 320}));
  EXPECT_EQ(upstream->spec().taps[3], (Tap{"m.0", 32, 640}));
  EXPECT_EQ(upstream->spec().taps[8], (Tap{"m.res", 32, 640}));
  EXPECT_EQ(upstream->spec().taps[9], (Tap{"d0.res", 32, 320}));
}

TEST(MrHubert, EveryTapHasTheFramesItPromises) {
  for (const char* fixture : {"mrhubert-base-like", "mrhubert-large-like"}) {
    const auto upstream = ModelFolder(fixture).open();
    for (const std::int64_t samples : {400, 719, 720, 1040, 4000, 8000}) {
      for (std::size_t tap = 0; tap < upstream->spec().taps.size(); ++tap) {
        const at::Tensor state = upstream->forward(at::ones({samples}), {tap})[0];
        EXPECT_EQ(state.size(0), upstream->frames(tap, samples)) << upstream->spec().taps[tap].name << " " << samples;
        EXPECT_EQ(state.size(1), upstream->spec().taps[tap].width);
      }
    }
  }
}

TEST(MrHubert, NamesWeightsAsTheFileSpellsThem) {
  ModelFolder folder("mrhubert-base-like");
  folder.change_weights([](NamedTensors& w) { w.erase("decoders.0.layers.1.self_attn_layer_norm.bias"); });
  EXPECT_EQ(folder.shorten(error_of<ConfigError>([&] { folder.open(); })),
            ": weight decoders.0.layers.1.self_attn_layer_norm.bias: it is missing; expected [32]");
}

TEST(MrHubert, RefusesConfigsThatItCannotFollow) {
  const auto refused = [](const char* key, const Json& value) {
    const ModelFolder folder("mrhubert-large-like");
    folder.change_json("config.json", [&](Json& config) { config[key] = value; });
    return folder.shorten(error_of<ConfigError>([&] { folder.open(); }));
  };
  EXPECT_EQ(refused("override_encoder_layers", "[2,1]"),
            "/config.json /override_encoder_layers: [2,1] is not allowed; takes a list of 3 integers of at least 1");
  EXPECT_EQ(refused("label_rate_ratios", {1, 2, 1}),
            "/config.json /label_rate_ratios: takes a list of pairs, at least one");
  EXPECT_EQ(refused("encoder_attention_heads", 5),
            "/config.json /encoder_embed_dim: is no multiple of encoder_attention_heads");
  EXPECT_EQ(refused("layer_type", "conformer"),
            "/config.json /layer_type: unknown value \"conformer\"; known: transformer");
  EXPECT_THAT(refused("conv_adapator_kernal", 1), HasSubstr("weight downsample_modules.0.upsample_conv.0.weight: "
                                                            "expected [32, 32, 1] floating point, found [32, 32, 7]"));
}

}  // namespace
}  // namespace strata

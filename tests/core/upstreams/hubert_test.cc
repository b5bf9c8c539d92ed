#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

std::vector<std::string> names(const Upstream& upstream) {
  std::vector<std::string> all;
  for (const Tap& tap : upstream.spec().taps) all.push_back(tap.name);
  return all;
}

std::size_t tap_of(const Upstream& upstream, const std::string& name) {
  const std::vector<std::string> all = names(upstream);
  return std::find(all.begin(), all.end(), name) - all.begin();
}

/// The message of the ConfigError with which the folder is refused, without the folder's name.
std::string refusal(const ModelFolder& folder) {
  return folder.shorten(error_of<ConfigError>([&] { folder.open(); }));
}

TEST(Hubert, DescribesItsTaps) {
  const auto post = ModelFolder("hubert-group").open();
  EXPECT_THAT(names(*post), testing::ElementsAre("h0", "h1", "h2", "h3", "h4", "conv", "proj", "pos", "input"));
  EXPECT_THAT(post->default_taps(), testing::ElementsAre("h0", "h1", "h2", "h3", "h4"));
  EXPECT_EQ(post->spec().taps[2], (Tap{"h2", 32, 320}));
  EXPECT_EQ(post->spec().taps[5], (Tap{"conv", 24, 320}));
  EXPECT_EQ(post->spec().receptive_field_samples, 400);
  EXPECT_THAT(names(*ModelFolder("hubert-stable").open()),
              testing::ElementsAre("h0", "h1", "h2", "h3", "h3_raw", "conv", "proj", "pos", "input"));
}

TEST(Hubert, CountsItsFrames) {
  const auto upstream = ModelFolder("hubert-posbn").open();
  for (const auto& [samples, frames] :
       {std::pair{399, 0}, {400, 1}, {719, 1}, {720, 2}, {16000, 49}, {16080, 50}, {160000, 499}}) {
    EXPECT_EQ(upstream->frames(0, samples), frames) << samples;
  }
  EXPECT_EQ(upstream->forward(at::zeros({719}), {0})[0].size(0), 1);
  EXPECT_EQ(upstream->forward(at::zeros({720}), {1})[0].size(0), 2);
  EXPECT_EQ(upstream->frames(tap_of(*upstream, "input"), 720), 720);
  EXPECT_THAT(error_of<DataError>([&] { upstream->forward(at::zeros({399}), {0}); }), HasSubstr("needs at least 400"));
}

TEST(Hubert, TheLastStateIsTheNormOfTheRawOne) {
  const auto upstream = ModelFolder("hubert-stable").open();
  const at::Tensor wave = at::linspace(-0.5, 0.5, 4000, at::kDouble).square();
  const auto states = upstream->forward(wave, {tap_of(*upstream, "h3_raw"), tap_of(*upstream, "h3")});
  const NamedTensors& weights = upstream->weights();
  const at::Tensor normed = at::layer_norm(states[0], {48}, weights.at("encoder.layer_norm.weight").to(at::kDouble),
                                           weights.at("encoder.layer_norm.bias").to(at::kDouble), 1e-3);
  EXPECT_LT((normed - states[1]).abs().max().item<double>(), 1e-12);
}

TEST(Hubert, TapsComeInTheOrderAskedForAndDoNotDependOnEachOther) {
  const auto upstream = ModelFolder("hubert-group").open();
  const at::Tensor wave = at::sin(at::arange(4000, at::kFloat) / 7);
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < upstream->spec().taps.size(); ++i) all.push_back(i);
  const auto together = upstream->forward(wave, all);
  for (const std::size_t tap : all) {
    EXPECT_TRUE(upstream->forward(wave, {tap})[0].equal(together[tap])) << upstream->spec().taps[tap].name;
    EXPECT_TRUE(together[tap].is_contiguous());
    EXPECT_FALSE(together[tap].requires_grad());
  }
  const auto some = upstream->forward(wave, {4, 0, 4});
  EXPECT_TRUE(some[0].equal(together[4]));
  EXPECT_TRUE(some[1].equal(together[0]));
  EXPECT_TRUE(some[2].equal(together[4]));
}

TEST(Hubert, FineTuningWithTheSameWeightsGivesTheSameStates) {
  const auto upstream = ModelFolder("hubert-group").open();
  const at::Tensor wave = at::sin(at::arange(2000, at::kDouble) / 5);
  EXPECT_LT((upstream->forward_with(upstream->weights(), wave, {4})[0] - upstream->forward(wave, {4})[0])
                .abs()
                .max()
                .item<double>(),
            1e-12);
  NamedTensors fewer = upstream->weights();
  fewer.erase("encoder.layer_norm.bias");
  EXPECT_THAT(error_of<ConfigError>([&] { upstream->forward_with(fewer, wave, {4}); }),
              HasSubstr("weight encoder.layer_norm.bias: it is missing; expected [32]"));
}

TEST(Hubert, RefusesWeightsThatDoNotFitTheConfig) {
  const std::string bias = "encoder.layers.1.attention.q_proj.bias";
  ModelFolder missing("hubert-group");
  missing.change_weights([&](NamedTensors& w) { w.erase(bias); });
  EXPECT_EQ(refusal(missing), ": weight " + bias + ": it is missing; expected [32]");

  ModelFolder reshaped("hubert-group");
  reshaped.change_weights([&](NamedTensors& w) { w[bias] = at::zeros({31}); });
  EXPECT_EQ(refusal(reshaped), ": weight " + bias + ": expected [32] floating point, found [31] Float");

  ModelFolder quantised("hubert-group");
  quantised.change_weights([&](NamedTensors& w) { w[bias] = at::zeros({32}, at::kChar); });
  EXPECT_EQ(refusal(quantised), ": weight " + bias + ": expected [32] floating point, found [32] Char");

  ModelFolder more("hubert-group");
  more.change_weights([&](NamedTensors& w) { w["encoder.layers.4.layer_norm.bias"] = at::zeros({32}); });
  EXPECT_THAT(refusal(more), HasSubstr(": weight encoder.layers.4.layer_norm.bias: unexpected, found [32]"));

  ModelFolder no_position("hubert-group");
  no_position.change_weights(
      [&](NamedTensors& w) { w.erase("encoder.pos_conv_embed.conv.parametrizations.weight.original0"); });
  EXPECT_EQ(
      refusal(no_position),
      ": weight encoder.pos_conv_embed.conv.parametrizations.weight.original0: it is missing; expected [1, 1, 16]");

  ModelFolder none("hubert-group");
  fs::remove(none.path() / "model.safetensors");
  EXPECT_THAT(refusal(none), HasSubstr("no weights: there is "));
}

TEST(Hubert, AFoldedPositionalWeightGivesTheSameStates) {
  ModelFolder folded("hubert-group");
  folded.change_weights([](NamedTensors& w) {
    const std::string conv = "encoder.pos_conv_embed.conv.";
    const at::Tensor g = w.at(conv + "parametrizations.weight.original0"),
                     v = w.at(conv + "parametrizations.weight.original1");
    w[conv + "weight"] = v * (g / v.square().sum(at::IntArrayRef({0, 1}), true).sqrt());
    w.erase(conv + "parametrizations.weight.original0");
    w.erase(conv + "parametrizations.weight.original1");
  });
  const at::Tensor wave = at::sin(at::arange(2000, at::kFloat) / 5);
  const at::Tensor difference =
      folded.open()->forward(wave, {4})[0] - ModelFolder("hubert-group").open()->forward(wave, {4})[0];
  EXPECT_LT(difference.abs().max().item<double>(), 1e-5);
}

TEST(Hubert, NamesTheDefaultsThatItTakes) {
  const ModelFolder folder("hubert-group");
  folder.change_json("config.json", [](Json& config) {
    config.erase("layer_norm_eps");
    config.erase("hidden_act");
  });
  testing::internal::CaptureStderr();
  folder.open();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("/config.json: not given, so as transformers has them by default: hidden_act \"gelu\", "
                        "layer_norm_eps 1e-05"));
}

TEST(Hubert, RefusesConfigsThatWouldChangeTheNumbers) {
  const auto refused = [](const char* key, const Json& value) {
    const ModelFolder folder("hubert-group");
    folder.change_json("config.json", [&](Json& config) { config[key] = value; });
    return refusal(folder);
  };
  EXPECT_EQ(refused("hidden_act", "gelu_new"), "/config.json /hidden_act: unknown value \"gelu_new\"; known: gelu");
  EXPECT_EQ(refused("feat_extract_activation", "relu"),
            "/config.json /feat_extract_activation: unknown value \"relu\", did you mean \"gelu\"? known: gelu");
  EXPECT_EQ(refused("add_adapter", true),
            "/config.json /add_adapter: true is not supported; it would change the hidden states");
  EXPECT_EQ(refused("num_attention_heads", 5), "/config.json: hidden_size 32 is no multiple of num_attention_heads 5");
  EXPECT_EQ(refused("num_hidden_layers", "4"),
            "/config.json /num_hidden_layers: \"4\" is not allowed; takes an integer, at least 1");
  EXPECT_EQ(refused("conv_stride", {5, 2}),
            "/config.json: conv_dim, conv_kernel and conv_stride have 7, 7 and 2 entries; expected "
            "the same number, at least 1");
  EXPECT_EQ(refused("num_feat_extract_layers", 6),
            "/config.json /num_feat_extract_layers: 6, but conv_dim has 7 entries");
  EXPECT_THAT(refused("model_type", "huber"),
              HasSubstr("/config.json /model_type: unknown upstream \"huber\", did you mean \"hubert\"?"));
}

TEST(Hubert, FollowsThePreprocessorConfig) {
  const at::Tensor wave = at::sin(at::arange(2000, at::kDouble) / 5) * 0.1 + 0.2;
  const auto input = [&](const ModelFolder& folder, const Json& options = Json::object()) {
    const auto upstream = folder.open(options);
    return upstream->forward(wave, {tap_of(*upstream, "input")})[0].squeeze(1);
  };
  const at::Tensor centred = wave - wave.mean();
  const auto normalised = [&](double eps) { return centred / (centred.square().mean() + eps).sqrt(); };

  ModelFolder folder("hubert-group");
  EXPECT_LT((input(folder) - normalised(1e-7)).abs().max().item<double>(), 1e-12);
  EXPECT_LT((input(folder, {{"wave_norm", "fairseq"}}) - normalised(1e-5)).abs().max().item<double>(), 1e-12);
  EXPECT_TRUE(input(folder, {{"wave_norm", "none"}}).equal(wave));
  folder.change_json("preprocessor_config.json", [](Json& config) { config["do_normalize"] = false; });
  EXPECT_TRUE(input(folder).equal(wave));
  folder.change_json("preprocessor_config.json", [](Json& config) { config["sampling_rate"] = 8000; });
  EXPECT_EQ(refusal(folder),
            "/preprocessor_config.json /sampling_rate: 8000 is not allowed; takes an integer, 16000 to 16000");
  fs::remove(folder.path() / "preprocessor_config.json");
  EXPECT_TRUE(input(folder).equal(wave)) << "a group stem without the file is not normalised";
  const ModelFolder layer("hubert-stable");
  fs::remove(layer.path() / "preprocessor_config.json");
  EXPECT_LT((input(layer) - normalised(1e-7)).abs().max().item<double>(), 1e-12);
  EXPECT_EQ(ModelFolder("hubert-group").open()->forward(at::full({800}, 0.5), {0})[0].isfinite().all().item<bool>(),
            true);
}

TEST(Hubert, FingerprintFollowsWhatChangesTheNumbers) {
  const std::string original = ModelFolder("hubert-group").open()->fingerprint();
  EXPECT_EQ(original.size(), 64);
  const ModelFolder irrelevant("hubert-group");
  irrelevant.change_json("config.json", [](Json& config) { config["mask_time_prob"] = 0.5; });
  irrelevant.change_weights([](NamedTensors& w) {
    NamedTensors prefixed;
    for (auto& [name, tensor] : w) prefixed["hubert." + name] = tensor;
    prefixed["lm_head.weight"] = at::zeros({12, 32});
    w = prefixed;
  });
  EXPECT_EQ(irrelevant.open()->fingerprint(), original);

  EXPECT_NE(ModelFolder("hubert-group").open({{"wave_norm", "none"}})->fingerprint(), original);
  const ModelFolder eps("hubert-group");
  eps.change_json("config.json", [](Json& config) { config["layer_norm_eps"] = 1e-6; });
  EXPECT_NE(eps.open()->fingerprint(), original);
  const ModelFolder weight("hubert-group");
  weight.change_weights([](NamedTensors& w) { w["encoder.layer_norm.bias"] = w["encoder.layer_norm.bias"] + 1e-6; });
  EXPECT_NE(weight.open()->fingerprint(), original);
}

}  // namespace
}  // namespace strata

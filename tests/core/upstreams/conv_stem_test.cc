#include "core/upstreams/conv_stem.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace strata {
namespace {

NamedTensors random_weights(const EncoderConfig& config) {
  NamedTensors weights;
  std::int64_t in = 1;
  for (std::size_t i = 0; i < config.conv_dim.size(); ++i) {
    const std::int64_t out = config.conv_dim[i], kernel = config.conv_kernel[i];
    const std::string name = "conv_layers." + std::to_string(i);
    weights[name + ".conv.weight"] = at::randn({out, in, kernel}) * std::sqrt(2.0 / static_cast<double>(in * kernel));
    if (config.conv_bias) weights[name + ".conv.bias"] = at::randn({out}) * 0.1;
    if (config.layer_stem() || i == 0) {
      weights[name + ".layer_norm.weight"] = at::randn({out}) * 0.1 + 1.0;
      weights[name + ".layer_norm.bias"] = at::randn({out}) * 0.1;
    }
    in = out;
  }
  return weights;
}

/// The fewest samples that give `frames`.
std::int64_t samples_of(const EncoderConfig& config, std::int64_t frames) {
  return stem_receptive_field(config) + (frames - 1) * stem_hop(config);
}

/// The stem as it is when frozen, in float32 and by packed and paired products, beside LibTorch's convolutions in
/// float64.
void compare(const EncoderConfig& config, const std::vector<std::int64_t>& lengths) {
  const NamedTensors weights = random_weights(config);
  const ConvStem exact(config, WeightReader(weights, "here", at::kDouble));  // bound while gradients are on
  const auto frozen = [&] {
    const c10::NoGradGuard no_grad;
    return ConvStem(config, WeightReader(weights, "here", at::kFloat));
  }();
  for (const std::int64_t samples : lengths) {
    const at::Tensor wave = at::randn({samples}), kept = wave.clone(), want = exact(wave.to(at::kDouble));
    const c10::NoGradGuard no_grad;
    const at::Tensor got = frozen(wave);
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_EQ(got.size(0), stem_frames(config, samples));
    EXPECT_LT((got - want).abs().max().item<double>(), 3e-6 * want.abs().max().item<double>()) << samples;
    EXPECT_TRUE(wave.equal(kept));
    EXPECT_TRUE(frozen(wave).equal(got));
  }
}

class EveryStem : public testing::TestWithParam<bool> {
 protected:
  EncoderConfig config(std::vector<std::int64_t> kernels, std::vector<std::int64_t> strides, std::int64_t width) const {
    EncoderConfig config;
    config.conv_dim.assign(kernels.size(), width);
    config.conv_kernel = std::move(kernels);
    config.conv_stride = std::move(strides);
    config.conv_bias = GetParam();
    config.feat_extract_norm = GetParam() ? "layer" : "group";
    return config;
  }
};

// Widths from which weights are packed. The blocks of a layer have 256 frames, the segments of the last one 512.
TEST_P(EveryStem, OfPublishedModelsEqualsFloat64) {
  const EncoderConfig published = config({10, 3, 3, 3, 3, 2, 2}, {5, 2, 2, 2, 2, 2, 2}, 72);
  std::vector<std::int64_t> lengths;
  for (const std::int64_t frames : {1, 2, 3, 8, 9, 33, 100, 512, 513, 700})
    lengths.push_back(samples_of(published, frames));
  for (const std::int64_t more : {7, 100, 319}) lengths.push_back(lengths[5] + more);
  compare(published, lengths);
}

TEST_P(EveryStem, WithPairsInItsLastLayerEqualsFloat64) {
  for (const std::int64_t width : {64, 100}) {
    const EncoderConfig short_one = config({10, 3}, {5, 2}, width);
    std::vector<std::int64_t> lengths;
    for (const std::int64_t frames : {1, 2, 3, 254, 255, 256, 257, 258, 511, 512, 513, 514, 1025, 1300})
      lengths.push_back(samples_of(short_one, frames));
    compare(short_one, lengths);
  }
}

TEST_P(EveryStem, WithOtherKernelsEqualsFloat64) {
  const EncoderConfig odd = config({3, 3, 5, 3, 3}, {2, 1, 2, 3, 2}, 64);
  compare(odd, {samples_of(odd, 1), samples_of(odd, 2), samples_of(odd, 31), samples_of(odd, 600) + 5});
}

INSTANTIATE_TEST_SUITE_P(Norms, EveryStem, testing::Bool(),
                         [](const auto& info) { return info.param ? "layer" : "group"; });

}  // namespace
}  // namespace strata

#include "core/upstreams/positional_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

namespace strata {
namespace {

TEST(FoldWeightNorm, DividesEachTapByItsNormOverBothChannels) {
  const at::Tensor v = at::tensor({3.0, 1.0, 4.0, 2.0}, at::kDouble).view({2, 1, 2});  // taps (3, 4) and (1, 2)
  const at::Tensor g = at::tensor({10.0, std::sqrt(5.0)}, at::kDouble).view({1, 1, 2});
  const at::Tensor w = fold_weight_norm(g, v);
  const at::Tensor want = at::tensor({6.0, 1.0, 8.0, 2.0}, at::kDouble).view({2, 1, 2});
  EXPECT_LT((w - want).abs().max().item<double>(), 1e-14);
}

TEST(PositionalConv, TheIdentityTapOfAnEvenKernelIsItsMiddleOne) {
  EncoderConfig config;
  config.hidden_size = 4;
  config.num_conv_pos_embedding_groups = 2;
  config.num_conv_pos_embeddings = 128;
  at::Tensor weight = at::zeros({4, 2, 128}, at::kDouble);
  for (int o = 0; o < 4; ++o) weight[o][o % 2][64] = 1.0;
  const at::Tensor bias = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  const PositionalConv conv(config, WeightReader({{"conv.weight", weight}, {"conv.bias", bias}}, "here", at::kDouble));
  const at::Tensor x = at::arange(20, at::kDouble).view({5, 4}) / 10;
  EXPECT_LT((conv(x) - at::gelu(x + bias)).abs().max().item<double>(), 1e-14);
}

TEST(PositionalConv, ProductsEqualLibTorchsConvolution) {
  EncoderConfig config;
  config.hidden_size = 24;
  config.num_conv_pos_embedding_groups = 4;
  for (const std::int64_t kernel : {1, 2, 19, 128}) {
    config.num_conv_pos_embeddings = kernel;
    const at::Tensor weight = at::randn({24, 6, kernel}, at::kDouble), bias = at::randn({24}, at::kDouble);
    const WeightReader weights({{"conv.weight", weight}, {"conv.bias", bias}}, "here", at::kDouble);
    const PositionalConv trained(config, weights);  // bound while gradients are on
    const c10::NoGradGuard no_grad;
    const PositionalConv products(config, weights);
    for (const std::int64_t frames : {1, 2, 7, 64, 513, 1025}) {
      const at::Tensor x = at::randn({frames, 24}, at::kDouble), kept = x.clone();
      const at::Tensor whole = at::conv1d(x.t().unsqueeze(0), weight, bias, 1, kernel / 2, 1, 4).squeeze(0).t();
      const at::Tensor want = at::gelu(whole.narrow(0, 0, frames));
      EXPECT_LT((trained(x) - want).abs().max().item<double>(), 1e-12);
      EXPECT_LT((products(x) - want).abs().max().item<double>(), 1e-12)
          << "kernel " << kernel << ", " << frames << " frames";
      EXPECT_TRUE(x.equal(kept));
    }
  }
}

}  // namespace
}  // namespace strata

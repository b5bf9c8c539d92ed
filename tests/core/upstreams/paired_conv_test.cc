#include "core/upstreams/paired_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

namespace strata {
namespace {

/// A paired convolution of a weight [out, in, 3]; none if this LibTorch has no MKL: the plain form is taken.
std::optional<PairedConv> paired(const at::Tensor& weight, std::int64_t stride = 2) {
  const at::Tensor first_taps = weight.narrow(2, 0, 2).permute({0, 2, 1}).reshape({weight.size(0), -1});
  const auto packed = PackedProduct::pack(first_taps);
  return packed ? PairedConv::pack(weight, stride, *packed) : std::nullopt;
}

TEST(PairedConv, IsTheConvolution) {
  for (const auto& [in, out] : {std::pair{64, 64}, {70, 100}, {128, 90}}) {
    const at::Tensor weight = at::randn({out, in, 3}), shift = at::randn({out});
    const auto conv = paired(weight);
    if (!conv) return;
    for (const std::int64_t pairs : {1, 2, 3, 64, 95, 128, 300}) {
      const at::Tensor x = at::randn({4 * pairs + 3, in}), rest = x.narrow(0, 4 * pairs, 3).clone();
      const at::Tensor wave = x.narrow(0, 0, 4 * pairs + 1).t().unsqueeze(0).to(at::kDouble);
      const at::Tensor want = at::conv1d(wave, weight.to(at::kDouble), {}, 2).squeeze(0).t();
      const at::Tensor kept = x.clone(), got = at::full({2 * pairs + 1, out}, 7.0F), rows = got.narrow(0, 0, 2 * pairs);
      conv->consume(x, {}, rows);
      const double peak = want.abs().max().item<double>();
      EXPECT_LT((rows - want).abs().max().item<double>(), 2e-6 * peak) << in << " " << out << " " << pairs;
      EXPECT_TRUE(x.narrow(0, 4 * pairs, 3).equal(rest));
      EXPECT_TRUE(got.select(0, 2 * pairs).eq(7.0F).all().item<bool>());
      conv->consume(kept, shift, rows);
      EXPECT_LT((rows - want - shift).abs().max().item<double>(), 2e-6 * peak) << in << " " << out << " " << pairs;
    }
  }
}

// Where the definition does not look, nothing is looked at: what is not finite stays where it was.
TEST(PairedConv, EachRowDependsOnItsOwnThreeInputs) {
  const auto conv = paired(at::randn({64, 64, 3}));
  if (!conv) return;
  constexpr std::int64_t kPairs = 5;
  for (std::int64_t bad = 0; bad <= 4 * kPairs; ++bad) {
    const at::Tensor x = at::randn({4 * kPairs + 1, 64}), out = at::full({2 * kPairs, 64}, 0.0F);
    x.select(0, bad).fill_(std::numeric_limits<float>::infinity());
    conv->consume(x, {}, out);
    for (std::int64_t n = 0; n < 2 * kPairs; ++n)
      EXPECT_EQ(out.select(0, n).isfinite().all().item<bool>(), bad < 2 * n || bad > 2 * n + 2) << n << " of " << bad;
  }
}

TEST(PairedConv, IsForKernelThreeWithStrideTwo) {
  if (!paired(at::randn({64, 64, 3}))) return;
  EXPECT_FALSE(paired(at::randn({64, 64, 2})));
  EXPECT_FALSE(paired(at::randn({64, 64, 4})));
  EXPECT_FALSE(paired(at::randn({64, 64, 3}), 1));
  EXPECT_FALSE(paired(at::randn({64, 64, 3}), 3));
  EXPECT_FALSE(paired(at::randn({60, 60, 3})));  // W0 + W2 is too small to be packed
}

}  // namespace
}  // namespace strata

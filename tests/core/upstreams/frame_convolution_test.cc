#include "core/upstreams/frame_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace strata {
namespace {

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST(FrameConvolution, ValuesAndGradientsEqualLibTorchs) {
  for (const auto& [kernel, stride] : {std::pair<int, int>{3, 2}, {2, 2}, {10, 5}, {3, 1}, {2, 3}, {1, 1}, {5, 2}}) {
    for (const std::int64_t frames : {kernel, kernel + 1, 41, 42}) {
      const auto leaf = [](at::Tensor x) { return x.requires_grad_(); };
      const at::Tensor x = leaf(at::randn({frames, 3}, at::kDouble)),
                       weight = leaf(at::randn({4, 3, kernel}, at::kDouble));
      const at::Tensor got = convolve_frames(x, weight, stride), factor = at::randn(got.sizes(), at::kDouble);
      (got * factor).sum().backward();
      const at::Tensor x2 = leaf(x.detach().clone()), weight2 = leaf(weight.detach().clone());
      const at::Tensor want = at::conv1d(x2.t().unsqueeze(0), weight2, {}, stride).squeeze(0).t();
      (want * factor).sum().backward();
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_LT(largest(got - want), 1e-12) << kernel << " " << stride << " " << frames;
      EXPECT_LT(largest(x.grad() - x2.grad()), 1e-12) << kernel << " " << stride << " " << frames;
      EXPECT_LT(largest(weight.grad() - weight2.grad()), 1e-12) << kernel << " " << stride << " " << frames;
    }
  }
}

TEST(WaveConvolution, ValuesAndGradientsEqualLibTorchs) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const auto leaf = [](at::Tensor x) { return x.requires_grad_(); };
    const at::Tensor x = at::randn({203}, dtype), matrix = leaf(at::randn({10, 70}, dtype)),
                     shift = leaf(at::randn({70}, dtype));
    const at::Tensor got = convolve_wave(x, matrix, shift, 5), factor = at::randn(got.sizes(), dtype);
    (got * factor).sum().backward();
    const at::Tensor matrix2 = leaf(matrix.detach().clone()), shift2 = leaf(shift.detach().clone());
    const at::Tensor want = at::conv1d(x.view({1, 1, -1}), matrix2.t().unsqueeze(1), shift2, 5).squeeze(0).t();
    (want * factor).sum().backward();
    const double tolerance = dtype == at::kFloat ? 1e-4 : 1e-12;
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_LT(largest(got - want), tolerance);
    EXPECT_LT(largest(matrix.grad() - matrix2.grad()), tolerance);
    EXPECT_LT(largest(shift.grad() - shift2.grad()), tolerance);
  }
}

TEST(FrameConvolution, ReadsAPartOfALargerTensor) {
  const at::Tensor all = at::randn({30, 3}, at::kDouble), weight = at::randn({4, 3, 3}, at::kDouble);
  const at::Tensor part = all.narrow(0, 7, 11);
  EXPECT_LT(largest(convolve_frames(part, weight, 2) - convolve_frames(part.clone(), weight, 2)), 1e-14);
}

}  // namespace
}  // namespace strata

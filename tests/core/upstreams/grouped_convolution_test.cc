#include "core/upstreams/grouped_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace strata {
namespace {

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST(GroupedConvolution, ValuesAndGradientsEqualLibTorchs) {
  for (const std::int64_t kernel : {1, 2, 5, 16}) {
    for (const std::int64_t frames : {1, 2, 9, 50}) {
      const auto leaf = [](at::Tensor x) { return x.requires_grad_(); };
      const at::Tensor x = leaf(at::randn({frames, 12}, at::kDouble)),
                       weight = leaf(at::randn({12, 3, kernel}, at::kDouble));
      const at::Tensor got = GroupedConvolution(weight, 4, kernel / 2)(x), factor = at::randn(got.sizes(), at::kDouble);
      (got * factor).sum().backward();
      const at::Tensor x2 = leaf(x.detach().clone()), weight2 = leaf(weight.detach().clone());
      const at::Tensor want =
          at::conv1d(x2.t().unsqueeze(0), weight2, {}, 1, kernel / 2, 1, 4).squeeze(0).t().narrow(0, 0, frames);
      (want * factor).sum().backward();
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_LT(largest(got - want), 1e-12) << kernel << " " << frames;
      EXPECT_LT(largest(x.grad() - x2.grad()), 1e-12) << kernel << " " << frames;
      EXPECT_LT(largest(weight.grad() - weight2.grad()), 1e-12) << kernel << " " << frames;
    }
  }
}

TEST(GroupedConvolution, GradientsOfSeveralInputsAddUp) {
  const auto leaf = [](at::Tensor x) { return x.requires_grad_(); };
  const at::Tensor a = leaf(at::randn({9, 12}, at::kDouble)), b = leaf(at::randn({4, 12}, at::kDouble)),
                   weight = leaf(at::randn({12, 3, 5}, at::kDouble));
  const GroupedConvolution convolution(weight, 4, 2);
  (convolution(a).square().sum() + convolution(b).square().sum()).backward();
  const at::Tensor a2 = leaf(a.detach().clone()), b2 = leaf(b.detach().clone()),
                   weight2 = leaf(weight.detach().clone());
  const auto loss = [&](const at::Tensor& x) {
    return at::conv1d(x.t().unsqueeze(0), weight2, {}, 1, 2, 1, 4).square().sum();
  };
  (loss(a2) + loss(b2)).backward();
  EXPECT_LT(largest(a.grad() - a2.grad()), 1e-12);
  EXPECT_LT(largest(b.grad() - b2.grad()), 1e-12);
  EXPECT_LT(largest(weight.grad() - weight2.grad()), 1e-11);
}

TEST(GroupedConvolution, DoesNotDependOnHowManyFramesAreMadeAtOnce) {
  const at::Tensor x = at::randn({37, 8}, at::kDouble), weight = at::randn({8, 4, 6}, at::kDouble);
  const at::Tensor one = GroupedWeight(weight, 2, 1).convolve(x, 3);
  for (const std::int64_t frames : {2, 3, 8})
    EXPECT_LT(largest(GroupedWeight(weight, 2, frames).convolve(x, 3) - one), 1e-12) << frames;
}

}  // namespace
}  // namespace strata

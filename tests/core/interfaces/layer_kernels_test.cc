#include "core/interfaces/layer_kernels.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/Parallel.h>

#include "core/interfaces/layer_sum.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

class LayerKernels : public testing::TestWithParam<at::ScalarType> {};

TEST_P(LayerKernels, GiveTheSumAndItsGradientOfTheStoredValues) {
  for (const std::int64_t width : {1, 7, 8, 33, 770}) {
    const at::Tensor stored = random_tensor({2, 300, 5, width}, 1).to(GetParam());
    const at::Tensor exact = stored.to(at::kDouble), gradient = random_tensor({2, 300, width}, 2);
    const at::Tensor weights = random_tensor({5}, 3).to(at::kFloat).requires_grad_();
    const at::Tensor y = weighted_layers(stored, weights);
    EXPECT_EQ(y.scalar_type(), at::kFloat);
    y.backward(gradient.to(at::kFloat));
    const at::Tensor want = weights.detach().to(at::kDouble).requires_grad_();
    const at::Tensor sum = (exact * want.unsqueeze(1)).sum(2);
    sum.backward(gradient.to(at::kFloat).to(at::kDouble));
    expect_close(y.detach(), sum.detach(), 1e-5);
    expect_close(weights.grad(), want.grad(), 2e-6 * want.grad().abs().max().item<double>());
  }
}

TEST_P(LayerKernels, GiveTheSameBitsOnAnyNumberOfThreads) {
  const at::Tensor x = random_tensor({1500, 3, 40}, 1).to(GetParam());
  const at::Tensor g = random_tensor({1500, 40}, 2).to(at::kFloat), w = random_tensor({3}, 3).to(at::kFloat);
  at::set_num_threads(1);
  const at::Tensor sum = sum_layers(x, w), products = layer_products(g, x);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(sum_layers(x, w), sum));
  EXPECT_TRUE(at::equal(layer_products(g, x), products));
  at::set_num_threads(1);
}

INSTANTIATE_TEST_SUITE_P(Types, LayerKernels, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& info) { return std::string(at::toString(info.param)); });

TEST(WeightedLayers, GiveFeaturesAGradientIfTheyWantOne) {
  const at::Tensor x = random_tensor({2, 3, 5, 100}, 1).to(at::kFloat).requires_grad_();
  const at::Tensor w = tensor({1, 2, 3, 4, 5}, {5}).to(at::kFloat);
  weighted_layers(x, w).sum().backward();
  expect_close(x.grad(), w.unsqueeze(1).expand({2, 3, 5, 100}));
}

TEST(WeightedLayers, TakeFeaturesThatNoKernelReads) {
  const at::Tensor w = random_tensor({5}, 3).to(at::kFloat);
  const at::Tensor spread = random_tensor({3, 2, 5, 100}, 1).to(at::kHalf).transpose(0, 1);
  EXPECT_FALSE(has_layer_kernels(spread));
  const at::Tensor run = random_tensor({3, 2, 8, 100}, 4).to(at::kHalf).narrow(2, 2, 5);  // of layers: read in place
  EXPECT_TRUE(has_layer_kernels(run));
  expect_close(weighted_layers(run, w), weighted_layers(run.contiguous(), w), 0);
  expect_close(weighted_layers(spread, w), weighted_layers(spread.contiguous(), w), 1e-5);
  const at::Tensor wide = random_tensor({3, 2, 5, 100}, 1);
  EXPECT_FALSE(has_layer_kernels(wide));
  expect_close(weighted_layers(wide, w.to(at::kDouble)), weighted_layers(wide.to(at::kFloat), w), 1e-5);
}

}  // namespace
}  // namespace strata

// Needs a GPU, so it is run by name: tools/test //tests/core/pretraining:gpu_test
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/pretraining/small_objective.h"

namespace strata {
namespace {

struct Learnt {
  double loss;
  at::Tensor gradient;  // on the CPU, float64
};

/// The loss and the gradient of two utterances.
Learnt learn(const std::string& type, const Json& options, c10::Device device, at::ScalarType dtype) {
  const auto objective = small_objective(type, options);
  const at::Tensor flat = objective->initial(1).to(device, dtype), gradient = flat.mul(0.0);
  const Parameters parameters = leaf_parameters(objective->specs(), flat, gradient);
  std::vector<PretrainUtterance> utterances;
  for (const std::int64_t samples : {8000, 16000}) {
    utterances.push_back(small_utterance(*objective, samples, 3, dtype));
    utterances.back().wave = utterances.back().wave.to(device);
  }
  objective->start(parameters);
  const ObjectiveSums sums = objective->forward(parameters, utterances, {1, 2, true});
  sums.loss.backward();
  return {sums.loss.item<double>(), gradient.cpu().to(at::kDouble)};
}

double cosine(const at::Tensor& a, const at::Tensor& b) {
  return ((a * b).sum() / (a.norm() * b.norm())).item<double>();
}

class OnAGpu : public testing::TestWithParam<std::string> {};

TEST_P(OnAGpu, LearnsAsTheCpuDoes) {
  const Json options = {{"dropout", 0.1}};
  const Learnt want = learn(GetParam(), options, c10::kCPU, at::kDouble),
               got = learn(GetParam(), options, c10::Device(c10::kCUDA, 0), at::kFloat);
  EXPECT_NEAR(got.loss, want.loss, 1e-4 * want.loss);
  EXPECT_GT(cosine(got.gradient, want.gradient), 0.9999);
}

TEST_P(OnAGpu, InBfloat16TheGradientPointsTheSameWay) {
  const Learnt want = learn(GetParam(), Json::object(), c10::Device(c10::kCUDA, 0), at::kFloat),
               got = learn(GetParam(), {{"compute", "bfloat16"}}, c10::Device(c10::kCUDA, 0), at::kFloat);
  EXPECT_NEAR(got.loss, want.loss, 0.02 * want.loss);
  EXPECT_NE(got.loss, want.loss);
  EXPECT_GT(cosine(got.gradient, want.gradient), 0.99);
}

INSTANTIATE_TEST_SUITE_P(Objectives, OnAGpu, testing::ValuesIn(ObjectiveRegistry::names()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace strata

#include <cmath>

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(std::int64_t layers, std::int64_t width) {
  return make_variant<InterfaceRegistry>(R"({"type": "weighted_sum"})", InterfaceInput{layers, width});
}

TEST(WeightedSum, IsTheSoftmaxOfTheWeightsTimesTheLayers) {
  const auto sum = make(2, 2);
  Parameters parameters;
  parameters.add("layer_weights", tensor({0.0, std::log(3.0)}, {2}));  // softmax: 1/4, 3/4
  const at::Tensor features = tensor({4, 8, 0, 4, 1, 2, 3, 4}, {2, 1, 2, 2});
  expect_close(sum->forward(parameters, features), tensor({1, 5, 2.5, 3.5}, {2, 1, 2}));
}

TEST(WeightedSum, StartsAsThePlainMeanOf13Layers) {
  const auto sum = make(13, 4);
  EXPECT_EQ(count_elements(sum->parameters()), 13);
  const at::Tensor start = initial_parameters(sum->parameters(), 1, "trial").to(at::kDouble);
  const at::Tensor features = random_tensor({2, 3, 13, 4}, 1);
  expect_close(sum->forward(view_parameters(sum->parameters(), start), features), features.mean(2));
}

TEST(WeightedSum, TakesFeaturesThatAreNotContiguous) {
  const auto sum = make(3, 4);
  const at::Tensor start = random_parameters(sum->parameters(), 2);
  const Parameters parameters = view_parameters(sum->parameters(), start);
  const at::Tensor features = random_tensor({3, 2, 5, 4}, 3).permute({1, 2, 0, 3});  // kept as [L, B, T, D]
  expect_close(sum->forward(parameters, features), sum->forward(parameters, features.contiguous()));
}

TEST(WeightedSum, RefusesUnknownOptions) {
  const auto wrong = [] {
    make_variant<InterfaceRegistry>(R"({"type": "weighted_sum", "k": 1})", InterfaceInput{3, 2});
  };
  EXPECT_EQ(error_of<ConfigError>(wrong), "test /part/k: unknown key; \"weighted_sum\" takes normalize, taps, type");
}

}  // namespace
}  // namespace strata

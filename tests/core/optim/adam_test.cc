#include <cmath>

#include "core/optim/optimizer.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Optimizer> make(const std::string& options, const at::Tensor& parameters) {
  return make_variant<OptimizerRegistry>(R"({"type": "adam")" + options + "}", parameters);
}

TEST(Adam, TwoUpdatesByHand) {
  const at::Tensor p = tensor({1.0}, {1});
  const auto adam = make(R"(, "betas": [0.5, 0.75], "eps": 0)", p);
  adam->step(tensor({2.0}, {1}), 0.5);  // m 1, v 1; corrected 2 and 4: p - 0.5 * 2 / 2
  expect_close(p, tensor({0.5}, {1}));
  adam->step(tensor({-1.0}, {1}), 0.5);  // m 0, v 1
  expect_close(p, tensor({0.5}, {1}));
  adam->step(tensor({4.0}, {1}), 0.5);  // m 2, v 4.75; divided by 7/8 and 37/64
  expect_close(p, tensor({0.5 - 0.5 * (16.0 / 7.0) / std::sqrt(4.75 * 64.0 / 37.0)}, {1}));
}

TEST(Adam, AddsWeightDecayToTheGradient) {
  const at::Tensor decayed = tensor({3.0}, {1}), plain = tensor({3.0}, {1});
  make(R"(, "weight_decay": 0.5)", decayed)->step(tensor({2.0}, {1}), 0.1);
  make("", plain)->step(tensor({3.5}, {1}), 0.1);
  expect_close(decayed, plain);
}

TEST(Adam, HasTorchsDefaults) {
  const Json resolved = OptimizerRegistry::resolve(FieldReader(parse_json(R"({"type": "adam"})", "test"), "test"));
  EXPECT_EQ(resolved["betas"], Json({0.9, 0.999}));
  EXPECT_EQ(resolved["eps"], 1e-8);
  EXPECT_EQ(resolved["weight_decay"], 0.0);
}

TEST(Adam, RefusesWrongOptions) {
  const at::Tensor p = tensor({1.0}, {1});
  EXPECT_EQ(error_of<ConfigError>([&] { make(R"(, "betas": [0.9, 1.0])", p); }),
            "optimizer: betas [0.9, 1] are not allowed; takes two numbers from 0 to below 1");
  EXPECT_EQ(error_of<ConfigError>([&] { make(R"(, "learning_rate": -1)", p); }),
            "test /part/learning_rate: -1 is not allowed; takes a number, at least 0");
  EXPECT_EQ(error_of<ConfigError>([&] { make(R"(, "momentum": 0.9)", p); }),
            "test /part/momentum: unknown key; \"adam\" takes betas, eps, learning_rate, type, weight_decay");
}

}  // namespace
}  // namespace strata

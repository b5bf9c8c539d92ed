#include "core/optim/optimizer.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Optimizer> make(const std::string& options, const at::Tensor& parameters) {
  return make_variant<OptimizerRegistry>(R"({"type": "sgd")" + options + "}", parameters);
}

TEST(Sgd, GoesAgainstTheGradient) {
  const at::Tensor p = tensor({1.0, 2.0}, {2});
  const auto sgd = make("", p);
  sgd->step(tensor({10.0, -10.0}, {2}), 0.1);
  expect_close(p, tensor({0.0, 3.0}, {2}));
  EXPECT_TRUE(sgd->state().empty());
}

TEST(Sgd, KeepsMomentum) {
  const at::Tensor p = tensor({0.0}, {1});
  const auto sgd = make(R"(, "momentum": 0.5)", p);
  sgd->step(tensor({4.0}, {1}), 1.0);  // v 4
  sgd->step(tensor({1.0}, {1}), 0.5);  // v 3
  expect_close(p, tensor({-4.0 - 1.5}, {1}));
  expect_close(sgd->state().at("momentum_buffer"), tensor({3.0}, {1}));
}

TEST(Sgd, AddsWeightDecayToTheGradient) {
  const at::Tensor p = tensor({2.0}, {1});
  make(R"(, "weight_decay": 0.25)", p)->step(tensor({1.0}, {1}), 1.0);
  expect_close(p, tensor({0.5}, {1}));
}

TEST(Sgd, RefusesWrongOptions) {
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "momentum": 1.5)", tensor({1.0}, {1})); }),
            "test /part/momentum: 1.5 is not allowed; takes a number, 0 to 1");
}

}  // namespace
}  // namespace strata

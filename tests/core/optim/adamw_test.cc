#include "core/optim/optimizer.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Optimizer> make(const std::string& options, const at::Tensor& parameters) {
  return make_variant<OptimizerRegistry>(R"({"type": "adamw")" + options + "}", parameters);
}

TEST(AdamW, ShrinksBeforeItSteps) {
  const at::Tensor p = tensor({2.0}, {1});
  // 2 * (1 - 0.5 * 0.01), then a first step of the rate against the sign of the gradient.
  make(R"(, "eps": 0)", p)->step(tensor({-7.0}, {1}), 0.5);
  expect_close(p, tensor({1.99 + 0.5}, {1}));
}

TEST(AdamW, RefusesUnknownOptions) {
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "decay": 0.1)", tensor({1.0}, {1})); }),
            "test /part/decay: unknown key; \"adamw\" takes betas, eps, learning_rate, type, weight_decay");
}

}  // namespace
}  // namespace strata

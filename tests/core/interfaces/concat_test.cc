#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, InterfaceInput input) {
  return make_variant<InterfaceRegistry>(R"({"type": "concat")" + options + "}", input);
}

TEST(Concat, IsAnAffineMapOfAllLayers) {
  const auto concat = make(R"(, "output_dim": 1)", {2, 2});
  Parameters parameters;
  parameters.add("projection.weight", tensor({1, 10, 100, 1000}, {1, 4}));
  parameters.add("projection.bias", tensor({0.5}, {1}));
  expect_close(concat->forward(parameters, tensor({1, 2, 3, 4}, {1, 1, 2, 2})), tensor({4321.5}, {1, 1, 1}));
  EXPECT_TRUE(concat->affine_per_frame());
}

TEST(Concat, KeepsTheWidthUnlessToldOtherwise) {
  EXPECT_EQ(make("", {13, 768})->output_width(), 768);
  EXPECT_EQ(make(R"(, "output_dim": 10)", {13, 768})->output_width(), 10);
  EXPECT_EQ(count_elements(make("", {13, 768})->parameters()), 13 * 768 * 768 + 768);
}

TEST(Concat, RefusesWrongOptions) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "output_dim": -1)", {2, 2});
            }),
            "test /part/output_dim: -1 is not allowed; takes an integer, at least 0");
}

}  // namespace
}  // namespace strata

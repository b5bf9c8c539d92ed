#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(LastLayer, IsTheLastLayer) {
  const auto last = make_variant<InterfaceRegistry>(R"({"type": "last_layer"})", InterfaceInput{3, 2});
  expect_close(last->forward({}, tensor({1, 2, 3, 4, 5, 6}, {1, 1, 3, 2})), tensor({5, 6}, {1, 1, 2}));
  EXPECT_EQ(last->output_width(), 2);
  EXPECT_TRUE(last->parameters().empty());
  EXPECT_TRUE(last->affine_per_frame());
}

TEST(LastLayer, TakesNoLayer) {
  const auto make = [] {
    make_variant<InterfaceRegistry>(R"({"type": "last_layer", "layer": 1})", InterfaceInput{3, 2});
  };
  EXPECT_EQ(error_of<ConfigError>(make), "test /part/layer: unknown key; \"last_layer\" takes normalize, taps, type");
}

}  // namespace
}  // namespace strata

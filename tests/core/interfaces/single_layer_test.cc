#include <cmath>

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, std::int64_t layers = 3, std::int64_t width = 2) {
  return make_variant<InterfaceRegistry>(options, InterfaceInput{layers, width});
}

const at::Tensor kFeatures = tensor({1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60}, {1, 2, 3, 2});  // [B, T, L, D]

TEST(SingleLayer, TakesTheLayerCountedFromEitherEnd) {
  expect_close(make(R"({"type": "single_layer", "layer": 1})")->forward({}, kFeatures),
               tensor({3, 4, 30, 40}, {1, 2, 2}));
  expect_close(make(R"({"type": "single_layer", "layer": -3})")->forward({}, kFeatures),
               tensor({1, 2, 10, 20}, {1, 2, 2}));
  expect_close(make(R"({"type": "single_layer"})")->forward({}, kFeatures), tensor({5, 6, 50, 60}, {1, 2, 2}));
}

TEST(SingleLayer, NormalizesTheLayerItTakes) {
  const at::Tensor y = make(R"({"type": "single_layer", "layer": 0, "normalize": true})")->forward({}, kFeatures);
  const double one = 0.5 / std::sqrt(0.25 + 1e-5), ten = 5.0 / std::sqrt(25.0 + 1e-5);
  expect_close(y, tensor({-one, one, -ten, ten}, {1, 2, 2}));
}

TEST(SingleLayer, TakesANameForTheOneTapThatIsRead) {
  const auto resolved = [](const Json& options) { return InterfaceRegistry::resolve(FieldReader(options, "test")); };
  EXPECT_EQ(resolved({{"type", "single_layer"}, {"layer", "h6"}}),
            resolved({{"type", "single_layer"}, {"taps", {"h6"}}}));
  EXPECT_EQ(resolved({{"type", "single_layer"}, {"layer", 3.0}})["layer"], 3);
  const auto one = make_variant<InterfaceRegistry>(R"({"type": "single_layer", "layer": "h6"})", InterfaceInput{1, 2});
  expect_close(one->forward({}, kFeatures.narrow(2, 1, 1)), kFeatures.select(2, 1));
}

TEST(SingleLayer, TrainsNothing) {
  const auto layer = make(R"({"type": "single_layer"})");
  EXPECT_TRUE(layer->parameters().empty());
  EXPECT_TRUE(layer->affine_per_frame());
  EXPECT_EQ(layer->output_width(), 2);
}

TEST(SingleLayer, RefusesALayerThatIsNotThere) {
  EXPECT_EQ(error_of<ConfigError>([] { make(R"({"type": "single_layer", "layer": 3})"); }),
            "not applicable: single_layer wants layer 3, but there are 3 layers");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"({"type": "single_layer", "layer": -4})"); }),
            "not applicable: single_layer wants layer -4, but there are 3 layers");
}

TEST(SingleLayer, RefusesUnknownOptions) {
  EXPECT_EQ(
      error_of<ConfigError>([] { make(R"({"type": "single_layer", "layr": 1})"); }),
      "test /part/layr: unknown key, did you mean \"layer\"? \"single_layer\" takes layer, normalize, taps, type");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"({"type": "single_layer", "layer": 1.5})"); }),
            "test /part/layer: 1.5 is not allowed; takes an integer");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"({"type": "single_layer", "layer": ["h1"]})"); }),
            "test /part/layer: [\"h1\"] is not allowed; takes an integer or a name");
}

TEST(SingleLayer, RefusesFeaturesOfAnotherShape) {
  EXPECT_EQ(error_of<ShapeError>([] { make(R"({"type": "single_layer"})", 4)->forward({}, kFeatures); }),
            "interface: expected [B, T, 4, 2], found [1, 2, 3, 2]");
}

}  // namespace
}  // namespace strata

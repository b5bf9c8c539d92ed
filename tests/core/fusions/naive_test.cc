#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/fusions/parts.h"

namespace strata {
namespace {

using testing::ElementsAre;

const FusionInput kEqual = {{2, 1}, {2, 2}, {}}, kUnequal = {{2, 1}, {2, 3}, {}};
// Layers (4, 8) and (0, 4); (1, 2).
const at::Tensor kFirst = tensor({4, 8, 0, 4}, {1, 1, 2, 2}), kSecond = tensor({1, 2}, {1, 1, 1, 2});
const double kLog2 = std::log(2.0);

TEST(Naive, IsOneSoftmaxOverAllLayersOfAllModels) {
  const auto naive = make_fusion(R"({"type": "naive"})", kEqual);
  EXPECT_THAT(names_of(naive->parameters()), ElementsAre("layer_weights"));
  EXPECT_EQ(naive->head_width(0), 2);
  EXPECT_TRUE(naive->affine_per_frame());
  const Parameters parameters = named({{"layer_weights", tensor({0, 0, kLog2}, {3})}});  // softmax: 1/4, 1/4, 1/2
  expect_close(naive->forward(parameters, {kFirst, kSecond}, first_layer_parts()), tensor({1.5, 4}, {1, 1, 2}));
  const Parameters weights = naive->mixing_weights(parameters);
  expect_close(weights["0.layer_weights"], tensor({0.25, 0.25}, {2}));
  expect_close(weights["1.layer_weights"], tensor({0.5}, {1}));
}

TEST(Naive, MapsEachLayerBeforeTheSumWhereWidthsDiffer) {
  const auto naive = make_fusion(R"({"type": "naive", "project_to": 1})", kUnequal);
  EXPECT_THAT(names_of(naive->parameters()),
              ElementsAre("layer_weights", "align.0.weight", "align.0.bias", "align.1.weight", "align.1.bias"));
  EXPECT_EQ(naive->head_width(0), 1);
  const Parameters parameters = named({{"layer_weights", tensor({0, 0, kLog2}, {3})},
                                       {"align.0.weight", tensor({1, 10}, {1, 2})},
                                       {"align.0.bias", tensor({3}, {1})},
                                       {"align.1.weight", tensor({1, 0, 2}, {1, 3})},
                                       {"align.1.bias", tensor({5}, {1})}});
  // Layers become 84 + 3, 40 + 3 and 7 + 5.
  expect_close(naive->forward(parameters, {kFirst, tensor({1, 2, 3}, {1, 1, 1, 3})}, first_layer_parts()),
               tensor({(87 + 43) / 4.0 + 12 / 2.0}, {1, 1, 1}));
}

TEST(Naive, NormalizesEachLayerOfEachModel) {
  const auto naive = make_fusion(R"({"type": "naive", "normalize": true})", kEqual);
  EXPECT_FALSE(naive->affine_per_frame());
  const Parameters parameters = named({{"layer_weights", tensor({0, 0, 0}, {3})}});
  const double two = 2 / std::sqrt(4 + 1e-5), half = 0.5 / std::sqrt(0.25 + 1e-5);
  const double y = (2 * two + half) / 3;
  expect_close(naive->forward(parameters, {kFirst, kSecond}, first_layer_parts()), tensor({-y, y}, {1, 1, 2}));
}

TEST(Naive, RefusesUnequalWidthsWithoutAProjection) {
  EXPECT_EQ(error_of<ConfigError>([] { make_fusion(R"({"type": "naive"})", kUnequal); }),
            "not applicable: fusion naive of the widths 2, 3 needs a learned map of each to a common width: set "
            "project_to");
}

TEST(Naive, RefusesFeaturesOfAnotherShape) {
  const auto naive = make_fusion(R"({"type": "naive"})", kEqual);
  const Parameters parameters = named({{"layer_weights", tensor({0, 0, 0}, {3})}});
  EXPECT_EQ(error_of<ShapeError>([&] {
              naive->forward(parameters, {kFirst, kFirst}, first_layer_parts());
            }),
            "interface: expected [B, T, 1, 2], found [1, 1, 2, 2]");
}

TEST(Naive, RefusesUnknownOptions) {
  EXPECT_EQ(error_of<ConfigError>([] { make_fusion(R"({"type": "naive", "weights": "learned"})", kEqual); }),
            "test /part/weights: unknown key; \"naive\" takes normalize, project_to, taps, type");
}

}  // namespace
}  // namespace strata

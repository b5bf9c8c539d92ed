#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/fusions/parts.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const FusionInput kEqual = {{2, 1}, {2, 2}, {2, 2}}, kUnequal = {{2, 1}, {2, 3}, {2, 3}};
const std::vector<at::Tensor> kFeatures = {tensor({4, 8, 0, 4}, {1, 1, 2, 2}), tensor({1, 2}, {1, 1, 1, 2})};

TEST(Structured, IsTheMeanOfTheInterfacesUnlessWeightsAreGiven) {
  const auto equal = make_fusion(R"({"type": "structured"})", kEqual);
  EXPECT_THAT(equal->parameters(), IsEmpty());
  EXPECT_EQ(equal->heads(), 1);
  expect_close(equal->forward({}, kFeatures, first_layer_parts()), tensor({2.5, 5}, {1, 1, 2}));
  const auto given = make_fusion(R"({"type": "structured", "p": [0.75, 0.25]})", kEqual);
  expect_close(given->forward({}, kFeatures, first_layer_parts()), tensor({3.25, 6.5}, {1, 1, 2}));
}

TEST(Structured, LearnsWeightsFromEqualOnes) {
  const auto learned = make_fusion(R"({"type": "structured", "weights": "learned"})", kEqual);
  EXPECT_THAT(names_of(learned->parameters()), ElementsAre("model_weights"));
  const at::Tensor start = initial_parameters(learned->parameters(), 1, "trial").to(at::kDouble);
  expect_close(learned->forward(view_parameters(learned->parameters(), start), kFeatures, first_layer_parts()),
               tensor({2.5, 5}, {1, 1, 2}));
  const Parameters parameters = named({{"model_weights", tensor({std::log(3.0), 0}, {2})}});
  expect_close(learned->forward(parameters, kFeatures, first_layer_parts()), tensor({3.25, 6.5}, {1, 1, 2}));
  expect_close(learned->mixing_weights(parameters)["model_weights"], tensor({0.75, 0.25}, {2}));
}

TEST(Structured, MapsWhatTheInterfacesGive) {
  const auto mapped = make_fusion(R"({"type": "structured", "project_to": 1, "p": [0.75, 0.25]})", kUnequal);
  EXPECT_EQ(mapped->head_width(0), 1);
  const Parameters parameters = named({{"align.0.weight", tensor({1, 10}, {1, 2})},
                                       {"align.0.bias", tensor({4}, {1})},
                                       {"align.1.weight", tensor({1, 0, 2}, {1, 3})},
                                       {"align.1.bias", tensor({5}, {1})}});
  expect_close(mapped->forward(parameters, {kFeatures[0], tensor({1, 2, 3}, {1, 1, 1, 3})}, first_layer_parts()),
               tensor({88 * 0.75 + 12 * 0.25}, {1, 1, 1}));
}

TEST(Structured, TakesOneUpstream) {
  const auto one = make_fusion(R"({"type": "structured"})", {{2}, {2}, {2}});
  expect_close(one->forward({}, {kFeatures[0]}, first_layer_parts()), tensor({4, 8}, {1, 1, 2}));
}

TEST(Structured, RefusesWhatDoesNotFit) {
  const auto error = [](const std::string& options, const FusionInput& input) {
    return error_of<ConfigError>([&] { make_fusion(R"({"type": "structured")" + options + "}", input); });
  };
  EXPECT_EQ(error("", kUnequal),
            "not applicable: fusion structured of the widths 2, 3 needs a learned map of each to a common width: set "
            "project_to");
  EXPECT_EQ(error(R"(, "p": [0.5, 0.25, 0.25])", kEqual),
            "not applicable: fusion structured has 3 weights p, [0.5, 0.25, 0.25], for 2 upstreams");
  EXPECT_EQ(error(R"(, "p": [0.5, 0.6])", kEqual),
            "structured: p [0.5, 0.6] is not allowed; takes numbers above 0 whose sum is 1");
  EXPECT_EQ(error(R"(, "p": [0, 1])", kEqual),
            "structured: p [0, 1] is not allowed; takes numbers above 0 whose sum is 1");
  EXPECT_EQ(error(R"(, "p": [0.5, 0.5], "weights": "learned")", kEqual),
            "structured: p [0.5, 0.5] is for fixed weights, but weights are learned");
  EXPECT_EQ(error(R"(, "weights": "learnt")", kEqual),
            "test /part/weights: unknown value \"learnt\", did you mean \"learned\"? known: fixed, learned");
  EXPECT_EQ(error(R"(, "project_to": -1)", kEqual),
            "test /part/project_to: -1 is not allowed; takes an integer, at least 0");
}

}  // namespace
}  // namespace strata

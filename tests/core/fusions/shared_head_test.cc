#include <ATen/ops/log.h>
#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/fusions/parts.h"

namespace strata {
namespace {

using testing::ElementsAre;

const FusionInput kInput = {{1, 1}, {2, 2}, {2, 2}};
// As logits: probabilities (1/4, 3/4) and (4/5, 1/5).
const std::vector<at::Tensor> kFeatures = {tensor({1, 1 + std::log(3.0)}, {1, 1, 1, 2}),
                                           tensor({std::log(4.0), 0}, {1, 1, 1, 2})};

TEST(SharedHead, MixesTheProbabilitiesOfOneHead) {
  const auto shared = make_fusion(R"({"type": "shared_head"})", kInput);
  EXPECT_EQ(shared->heads(), 1);
  EXPECT_TRUE(shared->affine_per_frame());
  expect_close(shared->forward({}, kFeatures, first_layer_parts()), at::log(tensor({0.525, 0.475}, {1, 1, 2})));
  const auto given = make_fusion(R"({"type": "shared_head", "p": [0.2, 0.8]})", kInput);
  expect_close(given->forward({}, kFeatures, first_layer_parts()), at::log(tensor({0.69, 0.31}, {1, 1, 2})));
}

TEST(SharedHead, LearnsWeights) {
  const auto learned = make_fusion(R"({"type": "shared_head", "weights": "learned"})", kInput);
  const Parameters parameters = named({{"model_weights", tensor({0, std::log(4.0)}, {2})}});
  expect_close(learned->forward(parameters, kFeatures, first_layer_parts()), at::log(tensor({0.69, 0.31}, {1, 1, 2})));
  expect_close(learned->mixing_weights(parameters)["model_weights"], tensor({0.2, 0.8}, {2}));
}

// In plain probabilities both would be 0 and their logarithm infinite.
TEST(SharedHead, KeepsProbabilitiesThatFloatsDoNotHold) {
  const auto shared = make_fusion(R"({"type": "shared_head"})", kInput);
  const std::vector<at::Tensor> far = {tensor({0, -2000}, {1, 1, 1, 2}), tensor({0, -3000}, {1, 1, 1, 2})};
  expect_close(shared->forward({}, far, first_layer_parts()), tensor({0, -2000 - std::log(2.0)}, {1, 1, 2}));
}

TEST(SharedHead, MapsUnequalWidthsIfAsked) {
  const FusionInput unequal = {{1, 1}, {2, 3}, {2, 3}};
  const auto mapped = make_fusion(R"({"type": "shared_head", "project_to": 4})", unequal);
  EXPECT_EQ(mapped->head_width(0), 4);
  EXPECT_THAT(names_of(mapped->parameters()),
              ElementsAre("align.0.weight", "align.0.bias", "align.1.weight", "align.1.bias"));
  EXPECT_EQ(error_of<ConfigError>([&] { make_fusion(R"({"type": "shared_head"})", unequal); }),
            "not applicable: fusion shared_head of the widths 2, 3 needs a learned map of each to a common width: set "
            "project_to");
}

TEST(SharedHead, TakesHeadsThatGiveDistributions) {
  const auto shared = make_fusion(R"({"type": "shared_head"})", kInput);
  for (const HeadOutput output : {HeadOutput::kUtteranceLogits, HeadOutput::kFrameLogits}) shared->check_output(output);
  EXPECT_EQ(error_of<ConfigError>([&] { shared->check_output(static_cast<HeadOutput>(99)); }),
            "not applicable: fusion shared_head mixes probabilities, and this head gives no distribution");
}

}  // namespace
}  // namespace strata

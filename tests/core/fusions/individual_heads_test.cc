#include <ATen/ops/log.h>
#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/fusions/parts.h"

namespace strata {
namespace {

using testing::ElementsAre;

const FusionInput kInput = {{1, 1}, {2, 3}, {2, 3}};

TEST(IndividualHeads, MixesTheProbabilitiesOfAHeadPerModel) {
  const auto heads = make_fusion(R"({"type": "individual_heads", "p": [0.2, 0.8]})", {{1, 1}, {2, 2}, {2, 2}});
  EXPECT_EQ(heads->heads(), 2);
  // Head 1 multiplies by 10: (1/4, 3/4) and (4/5, 1/5).
  const std::vector<at::Tensor> features = {tensor({1, 1 + std::log(3.0)}, {1, 1, 1, 2}),
                                            tensor({std::log(4.0) / 10, 0}, {1, 1, 1, 2})};
  expect_close(heads->forward({}, features, first_layer_parts()), at::log(tensor({0.69, 0.31}, {1, 1, 2})));
}

TEST(IndividualHeads, GivesEachHeadItsOwnWidth) {
  const auto heads = make_fusion(R"({"type": "individual_heads"})", kInput);
  EXPECT_EQ(heads->head_width(0), 2);
  EXPECT_EQ(heads->head_width(1), 3);
  EXPECT_TRUE(heads->parameters().empty());
  EXPECT_TRUE(heads->affine_per_frame());
}

TEST(IndividualHeads, LearnsWeights) {
  const auto learned = make_fusion(R"({"type": "individual_heads", "weights": "learned"})", kInput);
  EXPECT_THAT(names_of(learned->parameters()), ElementsAre("model_weights"));
  EXPECT_EQ(count_elements(learned->parameters()), 2);
}

TEST(IndividualHeads, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of<ConfigError>([] { make_fusion(R"({"type": "individual_heads", "p": [1]})", kInput); }),
            "not applicable: fusion individual_heads has 1 weights p, [1], for 2 upstreams");
  EXPECT_EQ(error_of<ConfigError>([] { make_fusion(R"({"type": "individual_heads", "project_to": 4})", kInput); }),
            "test /part/project_to: unknown key; \"individual_heads\" takes p, type, weights");
}

}  // namespace
}  // namespace strata

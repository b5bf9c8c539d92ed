#include "core/heads/head.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Head> make(const std::string& options, HeadInput input) {
  return make_variant<HeadRegistry>(R"({"type": "linear_ctc")" + options + "}", input);
}

TEST(LinearCtc, ByHand) {
  const auto head = make(R"(, "projector_width": 1)", {2, 2});
  Parameters parameters;
  parameters.add("projector.weight", tensor({1, 10}, {1, 2}));
  parameters.add("projector.bias", tensor({100}, {1}));
  parameters.add("classifier.weight", tensor({1, -1}, {2, 1}));
  parameters.add("classifier.bias", tensor({0, 5}, {2}));
  expect_close(head->forward(parameters, tensor({1, 2, 3, 4}, {1, 2, 2}), integers({2})),
               tensor({121, -116, 143, -138}, {1, 2, 2}));
}

TEST(LinearCtc, HasTheParametersOfSuperb) {
  EXPECT_EQ(count_elements(make("", {768, 74})->parameters()), 215882) << "PR";
  EXPECT_EQ(make("", {768, 74})->output(), HeadOutput::kFrameLogits);
}

TEST(LinearCtc, RefusesWrongOptionsAndShapes) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "projector_width": "wide")", {768, 12});
            }),
            "test /part/projector_width: \"wide\" is not allowed; takes an integer, at least 1");
  EXPECT_EQ(error_of<ShapeError>([] {
              make("", {768, 2})->forward({}, random_tensor({2, 3, 5}, 1), integers({1, 1}));
            }),
            "linear_ctc: expected [B, T, 768], found [2, 3, 5]");
}

}  // namespace
}  // namespace strata

#include "core/heads/head.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Head> make(const std::string& options, HeadInput input) {
  return make_variant<HeadRegistry>(R"({"type": "mean_pool_linear")" + options + "}", input);
}

TEST(MeanPoolLinear, ByHand) {
  const auto head = make(R"(, "projector_width": 1)", {2, 2});
  Parameters parameters;
  parameters.add("projector.weight", tensor({1, 10}, {1, 2}));
  parameters.add("projector.bias", tensor({100}, {1}));
  parameters.add("classifier.weight", tensor({1, -1}, {2, 1}));
  parameters.add("classifier.bias", tensor({0, 5}, {2}));
  // Means over valid frames (1, 2) and (4, 6): 121 and 164 after the projector. The padded frame changes nothing.
  const at::Tensor x = tensor({1, 2, 777, -888, 3, 4, 5, 8}, {2, 2, 2});
  expect_close(head->forward(parameters, x, integers({1, 2})), tensor({121, -116, 164, -159}, {2, 2}));
}

TEST(MeanPoolLinear, HasTheParametersOfSuperb) {
  EXPECT_EQ(count_elements(make("", {768, 12})->parameters()), 199948) << "KS";
  EXPECT_EQ(count_elements(make("", {768, 24})->parameters()), 203032) << "IC";
  EXPECT_EQ(count_elements(make("", {768, 1251})->parameters()), 518371) << "SID";
  EXPECT_EQ(count_elements(make("", {768, 4})->parameters()), 197892) << "ER";
  EXPECT_EQ(make("", {768, 4})->output(), HeadOutput::kUtteranceLogits);
}

TEST(MeanPoolLinear, IsTheSameOnFramesAndOnTheirMeans) {
  const auto head = make("", {6, 5});
  const Parameters parameters = view_parameters(head->parameters(), random_parameters(head->parameters(), 1));
  const at::Tensor x = random_tensor({3, 7, 6}, 2);
  expect_close(head->forward(parameters, x, integers({7, 7, 7})),
               head->forward(parameters, x.mean(1, true), integers({1, 1, 1})));
}

TEST(MeanPoolLinear, RefusesWrongOptionsAndShapes) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "projector_width": 0)", {768, 12});
            }),
            "test /part/projector_width: 0 is not allowed; takes an integer, at least 1");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "projector": 3)", {768, 12});
            }),
            "test /part/projector: unknown key; \"mean_pool_linear\" takes projector_width, type");
  EXPECT_EQ(error_of<ShapeError>([] {
              make("", {768, 2})->forward({}, random_tensor({2, 3, 5}, 1), integers({1, 1}));
            }),
            "mean_pool_linear: expected [B, T, 768], found [2, 3, 5]");
}

}  // namespace
}  // namespace strata

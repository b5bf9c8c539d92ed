#include "core/model/model.h"

#include <gmock/gmock.h>

#include "tests/core/testing.h"

namespace strata {
namespace {

FieldReader part(const std::string& text, const std::string& path) {
  return FieldReader(parse_json(text, "test"), "test", path);
}

Model make(const std::string& interface, const std::string& fusion, const std::string& head,
           const std::vector<InterfaceInput>& upstreams, std::int64_t classes = 3) {
  return Model({part(interface, "/interface"), part(fusion, "/fusion"), part(head, "/head")}, upstreams, classes);
}

const char* const kSum = R"({"type": "weighted_sum"})";
const char* const kNone = R"({"type": "none"})";
const char* const kPool = R"({"type": "mean_pool_linear", "projector_width": 2})";

TEST(Model, NamesItsParametersByPart) {
  std::vector<std::string> names;
  for (const ParameterSpec& spec : make(kSum, kNone, kPool, {{5, 4}}).parameters()) names.push_back(spec.name);
  EXPECT_EQ(names, (std::vector<std::string>{"interface.0.layer_weights", "head.projector.weight",
                                             "head.projector.bias", "head.classifier.weight", "head.classifier.bias"}));
}

TEST(Model, IsHeadAfterInterface) {
  const Model model =
      make(R"({"type": "last_layer"})", kNone, R"({"type": "mean_pool_linear", "projector_width": 1})", {{2, 2}}, 1);
  const at::Tensor flat = tensor({1, 10, 100, 2, 5}, {5});  // projector (1, 10) + 100, classifier 2 x + 5
  const at::Tensor features = tensor({0, 0, 1, 2, 0, 0, 3, 4}, {1, 2, 2, 2});
  EXPECT_EQ(model.output(), HeadOutput::kUtteranceLogits);
  // Mean over time of the last layer is (2, 3): 2 * (2 + 30 + 100) + 5.
  expect_close(model.forward(view_parameters(model.parameters(), flat), {features}, integers({2})),
               tensor({269}, {1, 1}));
}

TEST(Model, SaysWhatDoesNotFit) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(kSum, kNone, kPool, {{5, 4}, {5, 4}});
            }),
            "not applicable: fusion none takes one upstream, found 2");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"({"type": "hconv"})", kNone, kPool, {{1, 4}});
            }),
            "not applicable: hconv with stride 3 needs at least 3 layers, found 1");
  EXPECT_THAT(
      error_of<ConfigError>([] {
        make(R"({"type": "hcnov"})", kNone, kPool, {{5, 4}});
      }),
      testing::StartsWith("test /interface/type: unknown interface \"hcnov\", did you mean \"hconv\"? known: "));
  EXPECT_EQ(error_of<ConfigError>([] {
              make(kSum, R"({"kind": "none"})", kPool, {{5, 4}});
            }),
            "test /fusion/type: this key is missing");
}

TEST(Model, RefusesFeaturesThatDoNotFit) {
  const Model model = make(kSum, kNone, kPool, {{5, 4}});
  const Parameters parameters = view_parameters(model.parameters(), random_parameters(model.parameters(), 1));
  EXPECT_EQ(error_of<ShapeError>([&] { model.forward(parameters, {}, integers({2})); }),
            "model: expected features of 1 upstreams, found 0");
  EXPECT_EQ(error_of<ShapeError>([&] {
              model.forward(parameters, {random_tensor({2, 3, 5, 4}, 1)}, integers({2}));
            }),
            "model: expected [1, 3, L, D] of each upstream, found [2, 3, 5, 4]");
  EXPECT_EQ(error_of<ShapeError>([&] {
              model.forward(parameters, {random_tensor({1, 3, 6, 4}, 1)}, integers({2}));
            }),
            "interface: expected [B, T, 5, 4], found [1, 3, 6, 4]");
}

}  // namespace
}  // namespace strata

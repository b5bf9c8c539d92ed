#include "core/model/model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include "core/base/random.h"
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

TEST(Model, HasAHeadPerModelOrNoInterfaceAsTheFusionWants) {
  const std::vector<InterfaceInput> upstreams = {{3, 4}, {2, 4}};
  const auto names = [&](const char* fusion) {
    std::vector<std::string> all;
    for (const ParameterSpec& spec : make(kSum, fusion, kPool, upstreams).parameters()) all.push_back(spec.name);
    return all;
  };
  EXPECT_THAT(names(R"({"type": "naive"})"),
              testing::ElementsAre("fusion.layer_weights", "head.projector.weight", "head.projector.bias",
                                   "head.classifier.weight", "head.classifier.bias"));
  const auto individual = names(R"({"type": "individual_heads", "weights": "learned"})");
  ASSERT_EQ(individual.size(), 11u);
  EXPECT_EQ(individual[1], "interface.1.layer_weights");
  EXPECT_EQ(individual[2], "fusion.model_weights");
  EXPECT_EQ(individual[3], "head.0.projector.weight");
  EXPECT_EQ(individual[10], "head.1.classifier.bias");

  const Model structured = make(kSum, R"({"type": "structured", "project_to": 5})", kPool, upstreams);
  EXPECT_THAT(structured.parameter_counts(),
              testing::UnorderedElementsAre(std::pair("interface", 5), std::pair("fusion", 2 * (4 * 5 + 5)),
                                            std::pair("head", (5 * 2 + 2) + (2 * 3 + 3))));
  // An interface that does not fit, or is none at all, is not looked at.
  make(R"({"type": "hconv"})", R"({"type": "naive"})", kPool, {{1, 4}, {1, 4}});
  make(R"({})", R"({"type": "naive"})", kPool, {{1, 4}, {1, 4}});
}

TEST(Model, KnowsWhenTimeMeansAreEnough) {
  const auto enough = [](const char* interface, const char* fusion, const char* head = kPool) {
    return make(interface, fusion, head, {{5, 4}, {5, 4}}).uses_time_means_only();
  };
  for (const char* fusion : {R"({"type": "naive"})", R"({"type": "structured", "weights": "learned"})",
                             R"({"type": "shared_head"})", R"({"type": "individual_heads"})"}) {
    EXPECT_TRUE(enough(kSum, fusion)) << fusion;
    EXPECT_FALSE(enough(kSum, fusion, R"({"type": "linear_ctc"})")) << fusion;
  }
  EXPECT_FALSE(enough(kSum, R"({"type": "joint_hconv"})"));
  EXPECT_FALSE(enough(kSum, R"({"type": "naive", "normalize": true})"));
  EXPECT_FALSE(enough(R"({"type": "hconv"})", R"({"type": "structured"})"));
  EXPECT_FALSE(enough(R"({"type": "weighted_sum", "normalize": true})", R"({"type": "structured"})"));
}

TEST(Model, LetsEachHeadDrawItsOwnDropout) {
  const char* const rnn = R"({"type": "rnn_ctc", "projector_width": 4, "hidden_width": 8, "dropout": 0.5})";
  const Model model = make(kSum, R"({"type": "individual_heads"})", rnn, {{2, 4}, {2, 4}});
  // Two models and heads alike: only the masks tell them apart.
  std::vector<ParameterSpec> specs = model.parameters();
  Parameters parameters;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const std::string own = specs[i].name.substr(specs[i].name.find('.', specs[i].name.find('.') + 1));
    parameters.add(specs[i].name, random_tensor(specs[i].shape, key_of(own)));
  }
  const at::Tensor x = random_tensor({1, 3, 2, 4}, 1), lengths = integers({3});
  const UtteranceKeys keys = {7};
  FusionParts parts = model.parts(parameters, lengths);
  expect_close(parts.head(0, parts.interface(0, x)), parts.head(1, parts.interface(1, x)));
  const at::Tensor mixed = model.forward_in_training(parameters, {x, x}, lengths, keys);
  const Model one = make(kSum, kNone, rnn, {{2, 4}});
  Parameters first;
  for (const auto& [name, value] : parameters.items()) {
    if (name.starts_with("interface.0")) first.add(name, value);
    if (name.starts_with("head.0.")) first.add("head." + name.substr(7), value);
  }
  const at::Tensor alone = one.forward_in_training(first, {x}, lengths, keys).log_softmax(-1);
  EXPECT_GT((mixed - alone).abs().max().item<double>(), 1e-3);
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

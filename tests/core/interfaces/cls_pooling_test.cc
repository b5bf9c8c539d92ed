#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, InterfaceInput input) {
  return make_variant<InterfaceRegistry>(R"({"type": "cls_pooling")" + options + "}", input);
}

// With affine maps of zero a block only adds nothing and normalises twice: what comes out is cls, normalised.
TEST(ClsPooling, ReadsTheClsPosition) {
  const auto pooling = make(R"(, "heads": 1, "feedforward": 1)", {3, 2});
  Parameters parameters;
  for (const ParameterSpec& spec : pooling->parameters()) {
    const bool gain = spec.name.ends_with("norm1.weight") || spec.name.ends_with("norm2.weight");
    parameters.add(spec.name,
                   spec.name == "cls" ? tensor({5, 9}, {2}) : random_tensor(spec.shape, 1).fill_(gain ? 1 : 0));
  }
  expect_close(pooling->forward(parameters, random_tensor({2, 3, 3, 2}, 2)), tensor({-1, 1}, {2}).expand({2, 3, 2}),
               1e-4);
}

TEST(ClsPooling, DependsOnTheOrderOfLayersThroughTheEmbeddingOnly) {
  const auto pooling = make(R"(, "heads": 2, "feedforward": 5, "blocks": 2)", {3, 4});
  const at::Tensor flat = random_parameters(pooling->parameters(), 1), features = random_tensor({1, 2, 3, 4}, 2);
  const Parameters parameters = view_parameters(pooling->parameters(), flat);
  const at::Tensor swapped = features.flip(2);
  EXPECT_GT(
      (pooling->forward(parameters, features).sub(pooling->forward(parameters, swapped))).abs().max().item<double>(),
      1e-3);
  at::Tensor(parameters["layer_embedding"]).zero_();
  expect_close(pooling->forward(parameters, features), pooling->forward(parameters, swapped));
}

TEST(ClsPooling, KeepsTheWidth) {
  EXPECT_EQ(make("", {13, 768})->output_width(), 768);
  EXPECT_FALSE(make("", {13, 768})->affine_per_frame());
}

TEST(ClsPooling, RefusesHeadsThatDoNotDivideTheWidth) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "heads": 3)", {13, 8});
            }),
            "not applicable: cls_pooling with 3 heads needs a width that they divide, found 8");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "blocks": 0)", {13, 8});
            }),
            "test /part/blocks: 0 is not allowed; takes an integer, at least 1");
}

}  // namespace
}  // namespace strata

#include "core/interfaces/hconv.h"

#include <ATen/ops/conv1d.h>
#include <ATen/ops/relu.h>

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, std::int64_t layers, std::int64_t width) {
  return make_variant<InterfaceRegistry>(R"({"type": "hconv")" + options + "}", InterfaceInput{layers, width});
}

// Three layers of width 1, kernel 3, stride 2 with padding 1: positions see (0, x0, x1) and (x1, x2, 0); D < L_out is
// refused, so width 2 with a weight that reads the first channel only.
TEST(HConv, OneConvolutionByHand) {
  const auto hconv = make(R"(, "kernel_size": 3, "stride": 2)", 3, 2);
  Parameters parameters;
  parameters.add("conv.0.weight", tensor({1, 10, 100, 0, 0, 0}, {1, 2, 3}));
  parameters.add("conv.0.bias", tensor({-21}, {1}));
  const at::Tensor features = tensor({1, 7, 2, 7, -3, 7}, {1, 1, 3, 2});
  // 10 * 1 + 100 * 2 - 21; 1 * 2 + 10 * -3 - 21 = -49, cut off by the ReLU.
  expect_close(hconv->forward(parameters, features), tensor({189, 0}, {1, 1, 2}));
}

TEST(HConv, EqualsConvolutionsAlongTheLayerAxis) {
  for (const std::int64_t layers : {3, 4, 5, 9, 13, 25, 27}) {
    const auto hconv = make("", layers, 7);
    const Parameters parameters = view_parameters(hconv->parameters(), random_parameters(hconv->parameters(), layers));
    const at::Tensor features = random_tensor({2, 3, layers, 7}, 100 + layers);
    at::Tensor x = features.view({6, layers, 7}).transpose(1, 2);
    for (std::size_t i = 0; 2 * i < parameters.items().size(); ++i) {
      x = at::relu(at::conv1d(x, parameters.items()[2 * i].second, parameters.items()[2 * i + 1].second, 3, 2));
    }
    expect_close(hconv->forward(parameters, features), x.reshape({2, 3, -1}));
  }
}

TEST(HConv, Has768OutputsForBaseAndLargeModels) {
  EXPECT_EQ(make("", 13, 768)->output_width(), 768);
  EXPECT_EQ(make("", 25, 768)->output_width(), 768);
  EXPECT_EQ(make("", 25, 7)->output_width(), 6) << "floor(7 / 3) channels at 3 positions";
  const std::vector<ParameterSpec> specs = make("", 13, 768)->parameters();
  ASSERT_EQ(specs.size(), 4);
  EXPECT_EQ(specs[0].name, "conv.0.weight");
  EXPECT_EQ(specs[0].shape, (std::vector<std::int64_t>{768, 768, 5}));
  EXPECT_EQ(specs[0].fan_in, 768 * 5);
  EXPECT_EQ(specs[2].shape, (std::vector<std::int64_t>{384, 768, 5}));
  EXPECT_FALSE(make("", 13, 768)->affine_per_frame());
}

TEST(HConv, HasThePositionsOfItsPaper) {
  const auto positions = [](std::int64_t layers) {
    std::vector<std::int64_t> all;
    for (const LayerConvolution& conv : layer_convolutions(layers, 768, 5, 3)) all.push_back(conv.positions);
    return all;
  };
  EXPECT_EQ(positions(13), (std::vector<std::int64_t>{5, 2}));
  EXPECT_EQ(positions(25), (std::vector<std::int64_t>{9, 3}));
  EXPECT_EQ(positions(8), (std::vector<std::int64_t>{3}));
  EXPECT_EQ(positions(27), (std::vector<std::int64_t>{9, 3, 1}));
}

TEST(HConv, RefusesOneAndTwoLayers) {
  EXPECT_EQ(error_of<ConfigError>([] { make("", 1, 8); }),
            "not applicable: hconv with stride 3 needs at least 3 layers, found 1");
  EXPECT_EQ(error_of<ConfigError>([] { make("", 2, 8); }),
            "not applicable: hconv with stride 3 needs at least 3 layers, found 2");
}

TEST(HConv, RefusesAWidthBelowItsPositions) {
  EXPECT_EQ(error_of<ConfigError>([] { make("", 13, 1); }),
            "not applicable: hconv ends with 2 positions over layers, more than the width 1");
}

TEST(HConv, RefusesWrongOptions) {
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "stride": 1)", 13, 8); }),
            "test /part/stride: 1 is not allowed; takes an integer, at least 2");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "kernel_size": 0)", 13, 8); }),
            "test /part/kernel_size: 0 is not allowed; takes an integer, at least 1");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "stirde": 3)", 13, 8); }),
            "test /part/stirde: unknown key, did you mean \"stride\"? \"hconv\" takes kernel_size, normalize, stride, "
            "taps, type");
}

}  // namespace
}  // namespace strata

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(MeanLayers, WeighsAllLayersAlike) {
  const auto mean = make_variant<InterfaceRegistry>(R"({"type": "mean_layers"})", InterfaceInput{3, 2});
  const at::Tensor features = tensor({1, 2, 3, 4, 8, 9}, {1, 1, 3, 2});
  expect_close(mean->forward({}, features), tensor({4, 5}, {1, 1, 2}));
  EXPECT_EQ(mean->output_width(), 2);
  EXPECT_TRUE(mean->parameters().empty());
  EXPECT_TRUE(mean->affine_per_frame());
  const at::Tensor narrow = mean->forward({}, features.to(at::kHalf));
  EXPECT_EQ(narrow.scalar_type(), at::kFloat);
  expect_close(narrow, tensor({4, 5}, {1, 1, 2}));
}

}  // namespace
}  // namespace strata

#include "core/fusions/joint_hconv.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <gmock/gmock.h>

#include "core/interfaces/hconv.h"
#include "tests/core/fusions/parts.h"

namespace strata {
namespace {

using testing::ElementsAre;

TEST(JointHConv, ChoosesLayersOfADeeperModelEvenly) {
  EXPECT_THAT(evenly_spaced_layers(5, 3), ElementsAre(0, 2, 4));
  EXPECT_THAT(evenly_spaced_layers(25, 13), ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24));
  EXPECT_THAT(evenly_spaced_layers(6, 5), ElementsAre(0, 1, 3, 4, 5));  // 0, 1.25, 2.5, 3.75, 5: halves go up
  EXPECT_THAT(evenly_spaced_layers(4, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(evenly_spaced_layers(1, 1), ElementsAre(0));
}

TEST(JointHConv, IsHConvOverTheChannelsOfAllModels) {
  const auto joint = make_fusion(R"({"type": "joint_hconv"})", {{5, 3}, {2, 4}, {}});
  EXPECT_EQ(joint->decisions(), (Json{{"layers_read", {{0, 2, 4}, {0, 1, 2}}}}));
  EXPECT_FALSE(joint->affine_per_frame());
  const auto hconv = make_hconv({}, {3, 6});
  EXPECT_EQ(joint->head_width(0), hconv->output_width());
  EXPECT_THAT(names_of(joint->parameters()), ElementsAre("conv.0.weight", "conv.0.bias"));

  const at::Tensor flat = random_parameters(joint->parameters(), 1);
  const Parameters parameters = view_parameters(joint->parameters(), flat);
  const at::Tensor deep = random_tensor({2, 3, 5, 2}, 2), shallow = random_tensor({2, 3, 3, 4}, 3);
  const at::Tensor even = deep.slice(2, 0, 5, 2);
  expect_close(joint->forward(parameters, {deep, shallow}, first_layer_parts()),
               hconv->forward(parameters, at::cat({even, shallow}, 3)));
}

TEST(JointHConv, NormalizesTheChannelsOfEachModel) {
  const FusionInput input = {{3, 3}, {2, 4}, {}};
  const auto joint = make_fusion(R"({"type": "joint_hconv", "normalize": true})", input);
  const auto plain = make_fusion(R"({"type": "joint_hconv"})", input);
  const at::Tensor flat = random_parameters(joint->parameters(), 1);
  const Parameters parameters = view_parameters(joint->parameters(), flat);
  const at::Tensor a = random_tensor({1, 2, 3, 2}, 2), b = random_tensor({1, 2, 3, 4}, 3);
  expect_close(joint->forward(parameters, {a, b}, first_layer_parts()),
               plain->forward(parameters, {at::layer_norm(a, {2}), at::layer_norm(b, {4})}, first_layer_parts()));
}

TEST(JointHConv, RefusesTooFewLayers) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make_fusion(R"({"type": "joint_hconv"})", {{13, 1}, {2, 4}, {}});
            }),
            "not applicable: hconv with stride 3 needs at least 3 layers, found 1");
  EXPECT_EQ(error_of<ConfigError>([] {
              make_fusion(R"({"type": "joint_hconv", "project_to": 4})", {{3}, {2}, {}});
            }),
            "test /part/project_to: unknown key; \"joint_hconv\" takes kernel_size, normalize, stride, taps, type");
}

}  // namespace
}  // namespace strata

#include "core/tensor/parameters.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/testing.h"

namespace strata {
namespace {

using testing::ElementsAre;

const std::vector<ParameterSpec> kSpecs = {
    {"weight", {200, 300}, Init::kUniformFanIn, 300}, {"bias", {200}, Init::kZero}, {"gain", {}, Init::kOne}};

TEST(Parameters, AreViewsOfOneBuffer) {
  const std::vector<ParameterSpec> specs = {{"a", {2, 2}}, {"b", {3}}, {"c", {}}};
  EXPECT_EQ(count_elements(specs), 8);
  const at::Tensor flat = tensor({0, 1, 2, 3, 4, 5, 6, 7}, {8}).requires_grad_(true);
  const Parameters views = view_parameters(specs, flat);
  expect_close(views["a"].detach(), tensor({0, 1, 2, 3}, {2, 2}));
  expect_close(views["c"].detach(), tensor({7}, {1}).squeeze(0));
  (views["b"].sum() * views["c"]).backward();
  expect_close(flat.grad(), tensor({0, 0, 0, 0, 7, 7, 7, 15}, {8}));
}

TEST(Parameters, HaveScopes) {
  Parameters all;
  for (const ParameterSpec& spec : with_prefix("head", {{"a", {1}}, {"b.c", {1}}})) all.add(spec.name, at::zeros({1}));
  all.add("header.a", at::ones({1}));
  const Parameters head = all.scope("head");
  ASSERT_EQ(head.items().size(), 2u);
  EXPECT_EQ(head.items()[1].first, "b.c");
  EXPECT_EQ(head.scope("b").items()[0].first, "c");
  EXPECT_EQ(error_of<InternalError>([&] { head["x"]; }),
            "internal error: a module asked for the parameter \"x\", which it did not declare");
}

TEST(Parameters, NeedABufferOfTheirSize) {
  EXPECT_EQ(error_of<ShapeError>([] {
              view_parameters({{"a", {2}}}, at::zeros({3}));
            }),
            "parameters: expected a vector of 2 elements, found 1 dimensions of 3 elements");
  EXPECT_EQ(error_of<ShapeError>([] {
              view_parameters({{"a", {2}}}, at::zeros({1, 2}));
            }),
            "parameters: expected a vector of 2 elements, found 2 dimensions of 2 elements");
}

TEST(InitialParameters, AreDrawnAsDeclared) {
  const at::Tensor flat = initial_parameters(kSpecs, 0, "trial");
  const Parameters views = view_parameters(kSpecs, flat);
  const at::Tensor weight = views["weight"];
  const double bound = 1.0 / std::sqrt(300.0);
  EXPECT_LE(weight.abs().max().item<double>(), bound);
  EXPECT_GT(weight.max().item<double>(), 0.999 * bound);
  EXPECT_LT(weight.min().item<double>(), -0.999 * bound);
  // Standard errors over 60,000 draws of U(-b, b): of the mean b / sqrt(3 n), 0.0024 b; of the variance, 0.9 / sqrt(n)
  // of it.
  EXPECT_NEAR(weight.mean().item<double>(), 0, 4 * 0.0024 * bound);
  EXPECT_NEAR(weight.var().item<double>(), bound * bound / 3, 4 * 0.0037 * bound * bound / 3);
  EXPECT_EQ(views["bias"].abs().sum().item<double>(), 0);
  EXPECT_EQ(views["gain"].item<double>(), 1);
}

TEST(InitialParameters, DependOnSeedTrialAndNameAlone) {
  const auto weight = [](const std::vector<ParameterSpec>& specs, std::uint64_t seed, const char* trial) {
    return view_parameters(specs, initial_parameters(specs, seed, trial))["weight"];
  };
  const at::Tensor before = weight(kSpecs, 0, "trial");
  EXPECT_TRUE(at::equal(weight({kSpecs[1], kSpecs[0]}, 0, "trial"), before)) << "what else there is does not matter";
  EXPECT_FALSE(at::equal(weight(kSpecs, 1, "trial"), before));
  EXPECT_FALSE(at::equal(weight(kSpecs, 0, "other"), before));
  std::vector<ParameterSpec> renamed = {kSpecs[0]};
  renamed[0].name = "other";
  EXPECT_FALSE(at::equal(initial_parameters(renamed, 0, "trial").view({200, 300}), before));
}

}  // namespace
}  // namespace strata

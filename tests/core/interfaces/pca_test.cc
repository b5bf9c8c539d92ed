#include "core/interfaces/pca.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, InterfaceInput input) {
  return make_variant<InterfaceRegistry>(R"({"type": "pca")" + options + "}", input);
}

// Points about (10, 20) along (0.6, -0.8), by 5, and across it, by 1: variances 2 * 25 / 3 and 2 * 1 / 3.
const at::Tensor kPoints = tensor({13, 16, 7, 24, 10.8, 20.6, 9.2, 19.4}, {4, 2});

TEST(PrincipalAxes, AreThoseOfAnEllipse) {
  CovarianceSums sums(tensor({1, 2}, {2}));
  sums.add(kPoints.narrow(0, 0, 1));
  sums.add(kPoints.narrow(0, 1, 3));
  const PrincipalAxes axes = sums.principal_axes(2);
  expect_close(axes.mean, tensor({10, 20}, {2}));
  // The entry of largest magnitude of each is positive.
  expect_close(axes.components, tensor({-0.6, 0.8, 0.8, 0.6}, {2, 2}));
  expect_close(axes.explained_variance, tensor({50 / 3.0, 2 / 3.0}, {2}));
  expect_close(axes.total_variance, tensor({52 / 3.0}, {1}));
}

TEST(PrincipalAxes, DependNotOnThePivotNorOnWhoAdds) {
  const at::Tensor points = random_tensor({50, 6}, 1) + 1000;
  CovarianceSums one(points[0]), first(points[0]), second(points[0]);
  one.add(points);
  first.add(points.narrow(0, 0, 13));
  second.add(points.narrow(0, 13, 37));
  first.buffer() += second.buffer();
  const PrincipalAxes a = one.principal_axes(4), b = first.principal_axes(4);
  expect_close(a.mean, b.mean, 1e-10);
  expect_close(a.components, b.components, 1e-9);
  expect_close(a.components.matmul(a.components.t()), at::eye(4, at::kDouble), 1e-12);
  CovarianceSums far(points[0] * 0);
  far.add(points);
  expect_close(far.principal_axes(4).components, a.components, 1e-6);
}

TEST(PrincipalAxes, NeedMoreFramesThanAxes) {
  CovarianceSums sums(tensor({0, 0, 0}, {3}));
  sums.add(random_tensor({2, 3}, 1));
  EXPECT_EQ(error_of<DataError>([&] { sums.principal_axes(2); }), "pca: 2 axes need more than 2 training frames");
  EXPECT_EQ(sums.principal_axes(1).components.size(0), 1);
}

TEST(Pca, ProjectsTheConcatenatedLayers) {
  const auto pca = make(R"(, "output_dim": 1)", {2, 2});
  EXPECT_EQ(pca->output_width(), 1);
  EXPECT_TRUE(pca->affine_per_frame());
  EXPECT_TRUE(pca->parameters().empty());
  Parameters fitted;
  fitted.add("mean", tensor({1, 2, 3, 4}, {4}));
  fitted.add("components", tensor({1, 10, 100, 1000}, {1, 4}));
  expect_close(pca->forward(fitted, tensor({2, 2, 3, 5}, {1, 1, 2, 2})), tensor({1001}, {1, 1, 1}));
}

TEST(Pca, FitsWhatItProjects) {
  const auto pca = make("", {3, 4});
  const at::Tensor frames = random_tensor({40, 3, 4}, 1) + 3;
  const auto fit = pca->begin_fit(frames.narrow(0, 0, 5));
  fit->add(frames.narrow(0, 0, 30));
  fit->add(frames.narrow(0, 30, 10));
  const Parameters fitted = fit->result();
  ASSERT_EQ(pca->fitted().size(), 2u);
  for (const ParameterSpec& spec : pca->fitted()) EXPECT_EQ(fitted[spec.name].sizes(), spec.shape);
  const at::Tensor y = pca->forward(fitted, frames.unsqueeze(0))[0];
  expect_close(y.mean({0}), tensor({0, 0, 0, 0}, {4}), 1e-12);
  const at::Tensor covariance = y.t().matmul(y);
  expect_close(covariance - covariance.diag().diag(), covariance * 0, 1e-10);  // uncorrelated
}

TEST(Pca, NormalizesBeforeItFits) {
  const auto pca = make(R"(, "normalize": true, "output_dim": 1)", {1, 2});
  const at::Tensor frames = tensor({0, 2, 5, 1, 3, 9}, {3, 1, 2});  // normalised: (-1, 1), (1, -1), (-1, 1), nearly
  const auto fit = pca->begin_fit(frames);
  fit->add(frames);
  expect_close(fit->result()["mean"], tensor({-1 / 3.0, 1 / 3.0}, {2}), 1e-4);
  expect_close(fit->result()["components"].abs(), tensor({std::sqrt(0.5), std::sqrt(0.5)}, {1, 2}), 1e-4);
}

TEST(Pca, RefusesMoreAxesThanThereAre) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "output_dim": 7)", {3, 2});
            }),
            "not applicable: pca wants 7 axes of 3 layers of width 2, which have 6");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "whiten": true)", {3, 2});
            }),
            "test /part/whiten: unknown key; \"pca\" takes normalize, output_dim, taps, type");
}

}  // namespace
}  // namespace strata

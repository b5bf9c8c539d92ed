#include "core/upstreams/spectral.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>

namespace strata {
namespace {

TEST(Deltas, AreRegressionSlopesWithRepeatedEdges) {
  const at::Tensor x = at::tensor({0.0, 1.0, 2.0, 3.0, 10.0}, at::kDouble).unsqueeze(1);
  const at::Tensor out = with_deltas(x);
  ASSERT_EQ(out.sizes(), (std::vector<std::int64_t>{5, 3}));
  // t = 0: (1 (1 - 0) + 2 (2 - 0)) / 10; t = 2: (1 (3 - 1) + 2 (10 - 0)) / 10; t = 4: (1 (10 - 3) + 2 (10 - 2)) / 10.
  EXPECT_NEAR(out[0][1].item<double>(), 0.5, 1e-15);
  EXPECT_NEAR(out[2][1].item<double>(), 2.2, 1e-15);
  EXPECT_NEAR(out[4][1].item<double>(), 2.3, 1e-15);
}

TEST(NormalizeOverTime, TakesTheUnbiasedDeviationAndLeavesConstantsAtZero) {
  const at::Tensor x = at::tensor({1.0F, 3.0F, -15.94F, -15.94F}).view({2, 2}).t();
  const at::Tensor out = normalize_over_time(x);
  EXPECT_NEAR(out[0][0].item<double>(), -std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(out[1][0].item<double>(), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(out[0][1].item<double>(), 0.0, 1e-4);
  EXPECT_EQ(out.scalar_type(), at::kFloat);
}

TEST(LogMel, PutsATonesEnergyIntoItsTriangle) {
  // 1 kHz is 1000 mel; 40 bins between 31.7 and 2840 mel are 68.5 apart, so that bin 13 (centre 991) is nearest.
  const at::Tensor wave = at::sin(at::arange(1600, at::kDouble) * (2.0 * M_PI * 1000.0 / 16000.0));
  const at::Tensor out = LogMel(40)(wave);
  ASSERT_EQ(out.sizes(), (std::vector<std::int64_t>{8, 40}));
  EXPECT_EQ(out[3].argmax().item<std::int64_t>(), 13);
}

TEST(LogMel, FloorsSilence) {
  const at::Tensor out = LogMel(80)(at::zeros({400}, at::kFloat));
  EXPECT_NEAR(out.min().item<double>(), std::log(1.1920928955078125e-07), 1e-6);
  EXPECT_EQ(out.min().item<float>(), out.max().item<float>());
}

TEST(CepstralTransform, IsOrthonormalButForItsLifter) {
  const at::Tensor transform = cepstral_transform(23, 13);
  const at::Tensor gram = at::matmul(transform.t(), transform);
  EXPECT_NEAR(gram[0][0].item<double>(), 1.0, 1e-12);
  EXPECT_NEAR(gram[11][11].item<double>(), 144.0, 1e-9);  // the lifter is 1 + 11 sin(pi / 2) there
  EXPECT_NEAR(gram[3][5].item<double>(), 0.0, 1e-12);
}

}  // namespace
}  // namespace strata

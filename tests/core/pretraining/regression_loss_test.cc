#include "core/pretraining/regression_loss.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "tests/core/testing.h"

namespace strata {
namespace {

// Two frames, one column: 1 and 3 have mean 2 and variance 1, so -1 and 1 (but for eps); 8 and 2 have mean 5 and
// variance 9, so 1 and -1. A second column: 0 and 4, and 10 and 12, both -1 and 1. The means: 0 and 0; -1 and 1.
TEST(RegressionLoss, TargetsByHand) {
  const at::Tensor targets = average_targets({tensor({1, 0, 3, 4}, {2, 2}), tensor({8, 10, 2, 12}, {2, 2})});
  expect_close(targets, tensor({0, -1, 0, 1}, {2, 2}), 1e-5);
}

// Differences 1, -2, 0.5, 0 in D = 4 columns. Squares: (1 + 4 + 0.25) / 2 = 2.625. Smooth L1 with beta 1: 1 - 0.5, 2 -
// 0.5 and 0.25 / 2, together 2.125, over 2.
TEST(RegressionLoss, ByHand) {
  const at::Tensor predicted = tensor({2, 0, 1.5, 3}, {1, 4}), targets = tensor({1, 2, 1, 3}, {1, 4});
  EXPECT_NEAR(regression_loss(predicted, targets, 0).item<double>(), 2.625, 1e-12);
  EXPECT_NEAR(regression_loss(predicted, targets, 1).item<double>(), 1.0625, 1e-12);
}

// Columns (1, 3) and (5, 5): deviations 1 and 0, but for the eps of 1e-6, whose root is 0.001.
TEST(RegressionLoss, SpreadByHand) {
  EXPECT_NEAR(column_spread(tensor({1, 5, 3, 5}, {2, 2})), (std::sqrt(1 + 1e-6) + 1e-3) / 2, 1e-12);
  EXPECT_NEAR(column_spread(tensor({1, 5}, {1, 2})), 1e-3, 1e-12) << "a single frame";
}

}  // namespace
}  // namespace strata

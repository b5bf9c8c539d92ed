#include "core/pretraining/unit_loss.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "tests/core/testing.h"

namespace strata {
namespace {

// Temperature 1/2. Frame 0 is (3, 4), of length 5: its cosines with the units (1, 0) and (0, 5) are 0.6 and 0.8, its
// logits 1.2 and 1.6, and its unit, 1, is the likelier: -log(e^1.6 / (e^1.2 + e^1.6)) = log(1 + e^-0.4). Frame 1 is
// (0, -2): cosines 0 and -1, logits 0 and -2, and its unit, 1, is the other: log(1 + e^2).
TEST(UnitLoss, ByHand) {
  const UnitLoss loss = unit_loss(tensor({3, 4, 0, -2}, {2, 2}), tensor({1, 0, 0, 5}, {2, 2}), integers({1, 1}), 0.5);
  EXPECT_NEAR(loss.sum.item<double>(), std::log1p(std::exp(-0.4)) + std::log1p(std::exp(2.0)), 1e-12);
  EXPECT_EQ(loss.frames, 2);
  EXPECT_EQ(loss.correct, 1);
}

TEST(UnitLoss, DoesNotDependOnTheLengthOfAVector) {
  const at::Tensor frames = random_tensor({4, 3}, 1), units = random_tensor({5, 3}, 2), of = integers({0, 4, 2, 2});
  EXPECT_NEAR(unit_loss(frames * 7.0, units * 0.1, of, 0.1).sum.item<double>(),
              unit_loss(frames, units, of, 0.1).sum.item<double>(), 1e-10);
}

TEST(UnitLoss, OfNoFramesIsZeroAndHasAGradient) {
  at::Tensor frames = random_tensor({0, 3}, 1).requires_grad_();
  const UnitLoss loss = unit_loss(frames, random_tensor({5, 3}, 2), integers({}), 0.1);
  EXPECT_EQ(loss.sum.item<double>(), 0.0);
  EXPECT_EQ(loss.frames, 0);
  loss.sum.backward();
}

TEST(UnitLoss, RefusesUnitsThatAreNoClass) {
  const auto message = [](std::int64_t unit) {
    return error_of<DataError>([&] {
      unit_loss(random_tensor({2, 3}, 1), random_tensor({5, 3}, 2), integers({0, unit}), 0.1);
    });
  };
  EXPECT_EQ(message(5), "unit 5 is not one of the 5 classes of the objective");
  EXPECT_EQ(message(-1), "unit -1 is not one of the 5 classes of the objective");
}

}  // namespace
}  // namespace strata

#include "core/metrics/accuracy.h"

#include <limits>

#include "tests/core/testing.h"

namespace strata {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Accuracy, TheFirstOfEqualScoresWinsAndNanWinsOverAll) {
  const at::Tensor scores = tensor({1, 2, 2, 5, kNan, kNan, 0, -1, -0.0}, {3, 3});
  expect_close(predicted_classes(scores), integers({1, 1, 0}));
}

TEST(Accuracy, CountsUtterances) {
  const SumCount half = accuracy(integers({0, 1, 2, 3}), integers({0, 1, 0, 0}));
  EXPECT_EQ(half.sum, 2);
  EXPECT_EQ(half.count, 4);
}

TEST(Accuracy, AllSlotsMustBeRight) {
  const at::Tensor predicted = predicted_slots(tensor({0, 1, 5, 4, 3, 1, 0, 5, 6, 3}, {2, 5}), {2, 3});
  expect_close(predicted, integers({1, 0, 0, 1}, {2, 2}));
  const SumCount one = accuracy(predicted, integers({1, 0, 0, 2}, {2, 2}));
  EXPECT_EQ(one.sum, 1);
  EXPECT_EQ(one.count, 2);
}

TEST(Accuracy, RefusesOtherShapes) {
  EXPECT_EQ(error_of<ShapeError>([] {
              accuracy(integers({1, 2}), integers({1, 2}, {2, 1}));
            }),
            "accuracy: predictions have the shape [2], labels [2, 1]");
}

}  // namespace
}  // namespace strata

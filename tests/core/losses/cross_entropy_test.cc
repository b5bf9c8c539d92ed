#include "core/losses/cross_entropy.h"

#include <cmath>

#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(CrossEntropy, IsASumOverTheBatch) {
  // Probabilities 1/4, 3/4 and 1/2, 1/2.
  const LossSum loss = cross_entropy(tensor({0, std::log(3.0), 7, 7}, {2, 2}), integers({0, 1}));
  EXPECT_NEAR(loss.sum.item<double>(), std::log(4.0) + std::log(2.0), 1e-12);
  EXPECT_EQ(loss.count, 2);
}

TEST(CrossEntropy, TakesLogProbabilitiesAsTheyAre) {
  const at::Tensor logits = random_tensor({4, 5}, 1);
  const at::Tensor labels = integers({0, 4, 2, 2});
  EXPECT_NEAR(cross_entropy(logits.log_softmax(1), labels).sum.item<double>(),
              cross_entropy(logits, labels).sum.item<double>(), 1e-12);
}

TEST(CrossEntropy, AddsUpTheSlots) {
  const at::Tensor logits = random_tensor({3, 5}, 1);
  const LossSum loss = slot_cross_entropy(logits, integers({1, 0, 0, 2, 1, 1}, {3, 2}), {2, 3});
  const double by_hand = cross_entropy(logits.slice(1, 0, 2), integers({1, 0, 1})).sum.item<double>() +
                         cross_entropy(logits.slice(1, 2, 5), integers({0, 2, 1})).sum.item<double>();
  EXPECT_NEAR(loss.sum.item<double>(), by_hand, 1e-12);
  EXPECT_EQ(loss.count, 3) << "utterances, not slots";
}

TEST(CrossEntropy, RefusesLabelsOutOfRangeAndOtherShapes) {
  const at::Tensor logits = random_tensor({2, 3}, 1);
  EXPECT_EQ(error_of<DataError>([&] {
              cross_entropy(logits, integers({0, 3}));
            }),
            "cross entropy: label 3 is not one of the 3 classes");
  EXPECT_EQ(error_of<DataError>([&] {
              cross_entropy(logits, integers({-1, 2}));
            }),
            "cross entropy: label -1 is not one of the 3 classes");
  EXPECT_EQ(error_of<ShapeError>([&] {
              cross_entropy(logits, integers({0, 1, 2}));
            }),
            "cross entropy: expected logits [B, C] and labels [B], found [2, 3] and [3]");
  EXPECT_EQ(error_of<ShapeError>([&] {
              slot_cross_entropy(logits, integers({0, 1}), {1, 2});
            }),
            "cross entropy of slots [1, 2]: expected logits [B, 3] and labels [B, 2], found [2, 3] and [2]");
}

}  // namespace
}  // namespace strata

#include "core/pretraining/dropout.h"

#include <ATen/ops/ones.h>

#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(KeyedDropout, ZeroesAShareAndScalesTheRest) {
  const at::Tensor dropped = keyed_dropout(0.2, {1, 2, true}, 3)(at::ones({100, 100}));
  const double zeroes = dropped.eq(0).sum().item<double>();
  EXPECT_NEAR(zeroes / 1e4, 0.2, 0.02);
  EXPECT_NEAR(dropped.max().item<double>(), 1.25, 1e-6);
  EXPECT_NEAR(dropped.sum().item<double>(), 1.25 * (1e4 - zeroes), 1e-2);
}

TEST(KeyedDropout, FollowsFromItsKeysAndTheNumberOfItsCalls) {
  const at::Tensor x = at::ones({50, 8});
  const Dropout one = keyed_dropout(0.5, {1, 2, true}, 3), same = keyed_dropout(0.5, {1, 2, true}, 3);
  const at::Tensor first = one(x), second = one(x);
  EXPECT_TRUE(same(x).equal(first));
  EXPECT_TRUE(same(x).equal(second));
  EXPECT_FALSE(first.equal(second));
  EXPECT_FALSE(keyed_dropout(0.5, {1, 2, true}, 4)(x).equal(first)) << "another utterance";
  EXPECT_FALSE(keyed_dropout(0.5, {1, 3, true}, 3)(x).equal(first)) << "another step";
}

TEST(KeyedDropout, IsNothingOutsideTraining) {
  EXPECT_FALSE(keyed_dropout(0.5, {1, 2, false}, 3));
  EXPECT_FALSE(keyed_dropout(0.0, {1, 2, true}, 3));
}

}  // namespace
}  // namespace strata

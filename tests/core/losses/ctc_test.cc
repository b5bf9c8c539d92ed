#include "core/losses/ctc.h"

#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "tests/core/testing.h"

namespace strata {
namespace {

CtcTargets one_target(const std::vector<std::int64_t>& symbols) {
  const std::int64_t length = symbols.size();
  return {integers(symbols, {1, length}), integers({length})};
}

// Two frames, blank and one symbol with probability 1/2 each: (a, a), (a, -), (-, a) give "a".
TEST(Ctc, SumsOverAlignments) {
  const at::Tensor logits = at::zeros({1, 2, 2}, at::kDouble);
  expect_close(ctc_nll(logits, integers({2}), one_target({1})), tensor({-std::log(0.75)}, {1}));
  expect_close(ctc_nll(logits, integers({1}), one_target({1})), tensor({std::log(2.0)}, {1}));
}

TEST(Ctc, DividesByTheTargetLengthAndCountsInfiniteOnesAsZero) {
  const at::Tensor logits = at::zeros({3, 2, 2}, at::kDouble).requires_grad_();
  const CtcTargets targets = {integers({1, 0, 1, 1, 0, 0}, {3, 2}), integers({1, 2, 0})};
  const at::Tensor nll = ctc_nll(logits, integers({2, 2, 2}), targets);
  expect_close(nll, tensor({-std::log(0.75), std::numeric_limits<double>::infinity(), std::log(4.0)}, {3}));
  const LossSum loss = ctc_loss(logits, integers({2, 2, 2}), targets);
  EXPECT_NEAR(loss.sum.item<double>(), -std::log(0.75) + std::log(4.0), 1e-12) << "an empty target is divided by 1";
  EXPECT_EQ(loss.count, 3);
  loss.sum.backward();
  EXPECT_EQ(logits.grad()[1].abs().max().item<double>(), 0.0) << "no gradient from the infinite one";
  EXPECT_GT(logits.grad()[0].abs().max().item<double>(), 0.0);
}

TEST(Ctc, DoesNotSeePadding) {
  const at::Tensor logits = random_tensor({1, 4, 3}, 1);
  expect_close(ctc_loss(logits, integers({3}), one_target({1, 2})).sum,
               ctc_loss(logits.slice(1, 0, 3), integers({3}), one_target({1, 2})).sum);
}

TEST(Ctc, RefusesSymbolsAndLengthsOutOfRange) {
  const at::Tensor logits = at::zeros({1, 4, 3}, at::kDouble);
  EXPECT_EQ(error_of<DataError>([&] {
              ctc_loss(logits, integers({4}), one_target({1, 3}));
            }),
            "CTC: symbol 3 is not one of the 3 symbols");
  EXPECT_EQ(error_of<ShapeError>([&] { ctc_loss(logits, integers({5}), one_target({1})); }),
            "CTC: lengths must be in 1 .. 4");
  EXPECT_EQ(error_of<ShapeError>([&] {
              ctc_loss(logits, integers({4}), {integers({1}, {1, 1}), integers({2})});
            }),
            "CTC: target lengths must be in 0 .. 1");
  EXPECT_EQ(error_of<ShapeError>([&] {
              ctc_loss(logits, integers({4, 4}), one_target({1}));
            }),
            "CTC: expected logits [B, T, C], lengths [B], targets [B, U] and their lengths [B], found [1, 4, 3], [2], "
            "[1, 1] and [1]");
}

}  // namespace
}  // namespace strata

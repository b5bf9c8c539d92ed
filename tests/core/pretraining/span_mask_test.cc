#include "core/pretraining/span_mask.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace strata {
namespace {

TEST(SpanMask, MasksWholeSpansThatMayOverlap) {
  for (std::uint64_t key = 0; key < 50; ++key) {
    RandomStream random({key});
    const std::vector<std::int64_t> masked = SpanMask{}.draw(250, random);
    ASSERT_FALSE(masked.empty());
    EXPECT_TRUE(std::is_sorted(masked.begin(), masked.end()));
    EXPECT_GE(masked.front(), 0);
    EXPECT_LT(masked.back(), 250);
    std::size_t run = 1;  // of masked frames side by side: at least a span, as none is cut
    for (std::size_t i = 1; i <= masked.size(); ++i) {
      if (i < masked.size() && masked[i] == masked[i - 1] + 1) {
        ++run;
        continue;
      }
      EXPECT_GE(run, 10u);
      run = 1;
    }
  }
}

// 0.8 * 1000 / 10 = 80 spans of 10 at 80 of 990 places: a frame away from the ends stays out of all of them with
// probability C(980, 80) / C(990, 80) = 0.4289, so 0.571 of those frames are masked; with the ends 0.5662.
TEST(SpanMask, MasksTheShareThatFollowsFromItsSpans) {
  double masked = 0;
  for (std::uint64_t key = 0; key < 200; ++key) {
    RandomStream random({key});
    masked += static_cast<double>(SpanMask{}.draw(1000, random).size());
  }
  EXPECT_NEAR(masked / 200 / 1000, 0.5662, 0.004);
}

TEST(SpanMask, RoundsTheNumberOfSpansAtRandom) {
  // 0.5 * 45 / 10 = 2.25: 2 spans, or, in a quarter of the draws, 3.
  const SpanMask mask{0.5, 10, 1};
  int longer_than_two_spans = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    RandomStream random({key});
    const std::size_t masked = mask.draw(45, random).size();
    EXPECT_LE(masked, 30u);
    longer_than_two_spans += masked > 20;
  }
  EXPECT_GT(longer_than_two_spans, 50);
  EXPECT_LT(longer_than_two_spans, 250);
}

TEST(SpanMask, HasAFewSpansHoweverSmallTheProbability) {
  RandomStream random({1});
  EXPECT_GE((SpanMask{0.0, 5, 2}.draw(100, random).size()), 6u);
  EXPECT_EQ((SpanMask{0.0, 5, 1}.draw(100, random).size()), 5u);
}

TEST(SpanMask, SuitsUtterancesShorterThanASpan) {
  for (std::int64_t frames = 0; frames < 15; ++frames) {
    RandomStream random({3});
    const std::vector<std::int64_t> masked = SpanMask{}.draw(frames, random);
    EXPECT_EQ(masked.empty(), frames == 0);
    if (frames > 0) EXPECT_LT(masked.back(), frames);
  }
}

TEST(SpanMask, FollowsFromTheStreamAlone) {
  RandomStream one({5, 6}), same({5, 6}), other({5, 7});
  const std::vector<std::int64_t> masked = SpanMask{}.draw(200, one);
  EXPECT_EQ(SpanMask{}.draw(200, same), masked);
  EXPECT_NE(SpanMask{}.draw(200, other), masked);
}

}  // namespace
}  // namespace strata

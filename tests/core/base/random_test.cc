#include "core/base/random.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace strata {
namespace {

using testing::ElementsAre;

/// Worked out by another implementation of SplitMix64 that gives the published numbers for its state 1234567.
TEST(RandomStream, IsTheSameOnEveryMachine) {
  EXPECT_EQ(RandomStream({}).next(), 16294208416658607535u);
  RandomStream keyed({0, 1, 2});
  EXPECT_EQ(keyed.next(), 5001828004512484870u);
  EXPECT_EQ(keyed.next(), 13436478834129081577u);
  EXPECT_EQ(keyed.next(), 15035724098149469757u);
  EXPECT_EQ(RandomStream({7}).uniform(), 5488937907533707 * 0x1.0p-53);
  RandomStream bounded({7});
  std::vector<std::uint64_t> draws;
  for (int i = 0; i < 8; ++i) draws.push_back(bounded.below(10));
  EXPECT_THAT(draws, ElementsAre(6, 8, 9, 6, 0, 8, 7, 0));
  std::vector<int> items = {0, 1, 2, 3, 4, 5, 6, 7};
  RandomStream({7}).shuffle(items);
  EXPECT_THAT(items, ElementsAre(7, 4, 3, 2, 5, 1, 6, 0));
}

TEST(RandomStream, DependsOnEachPartOfItsKeyAndTheirOrder) {
  std::map<std::uint64_t, int> seen;
  for (const auto key : {RandomStream({}), RandomStream({0}), RandomStream({0, 0}), RandomStream({0, 1}),
                         RandomStream({1, 0}), RandomStream({1}), RandomStream({2}), RandomStream({3})}) {
    seen[RandomStream(key).next()] += 1;
  }
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_NE(key_of("sid"), key_of("lid"));
}

/// Fails once in a million seeds; this seed passes or not for ever.
double chi_square_limit(double cells) { return cells + 5 * std::sqrt(2 * cells); }

TEST(RandomStream, IsUniform) {
  RandomStream random({1});
  std::vector<double> counts(10);
  constexpr int kDraws = 100000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    counts[random.below(10)] += 1;
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
  }
  double chi_square = 0;
  for (const double c : counts) chi_square += (c - kDraws / 10.0) * (c - kDraws / 10.0) / (kDraws / 10.0);
  EXPECT_LT(chi_square, chi_square_limit(9));
  EXPECT_NEAR(sum / kDraws, 0.5, 5 / std::sqrt(12.0 * kDraws));
}

TEST(RandomStream, IsWithoutBiasNearTheLargestBounds) {
  // With a plain remainder the lower half of 3 * 2^62 would come twice as often as the upper.
  RandomStream random({2});
  const std::uint64_t bound = std::uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 10000; ++i) low += random.below(bound) < bound / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10000 / 3.0, 5 * std::sqrt(10000 * 2 / 9.0));
  EXPECT_EQ(random.below(1), 0u);
}

TEST(RandomStream, IsNormal) {
  RandomStream random({3});
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(fourth / kDraws, 3, 5 * std::sqrt(96.0 / kDraws));
}

TEST(RandomStream, ShufflesIntoEveryOrderAlike) {
  RandomStream random({4});
  std::map<std::vector<int>, double> counts;
  constexpr int kShuffles = 24000;
  for (int i = 0; i < kShuffles; ++i) {
    std::vector<int> items = {0, 1, 2, 3};
    random.shuffle(items);
    counts[items] += 1;
  }
  ASSERT_EQ(counts.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, c] : counts) chi_square += (c - 1000) * (c - 1000) / 1000;
  EXPECT_LT(chi_square, chi_square_limit(23));
  std::vector<int> none, one = {5};
  random.shuffle(none);
  random.shuffle(one);
  EXPECT_THAT(one, ElementsAre(5));
}

}  // namespace
}  // namespace strata

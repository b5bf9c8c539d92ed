#include "tests/data/store/mutation.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

constexpr std::int64_t kCases = 150;

class Mutation : public testing::TestWithParam<std::string> {};

// A short form of `tools/soak mutate`.
TEST_P(Mutation, DamagedStoresAreRefusedOrTellOrAreWhole) {
  const std::filesystem::path work = std::filesystem::path(testing::TempDir()) / ("mutation_" + GetParam());
  const MutationResult result = mutate_stores(GetParam(), 1, 0, kCases, work);
  EXPECT_EQ(result.refused + result.damaged + result.whole + result.died, kCases);
  // Most of a shard is frames, which are read only where their checksums are.
  EXPECT_GE(result.damaged, GetParam() == "shard" || GetParam() == "swap" ? 5 : 0);
  // The record of what was verified is only a memory: broken, it is empty.
  EXPECT_GE(result.refused, GetParam() == "verified" ? 0 : kCases / 10);
}

INSTANTIATE_TEST_SUITE_P(Campaigns, Mutation, testing::ValuesIn(mutation_campaigns()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace strata

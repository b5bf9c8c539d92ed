#include "tests/core/upstreams/fuzz.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

constexpr std::int64_t kCases = 500;

class Fuzz : public testing::TestWithParam<std::string> {};

// A short form of `tools/soak fuzz`, which goes on for as long as it is let.
TEST_P(Fuzz, DamagedModelsAreRefusedOrWhole) {
  limit_memory(std::int64_t{1} << 30);
  const std::filesystem::path work = std::filesystem::path(testing::TempDir()) / ("fuzz_" + GetParam());
  const FuzzResult result = fuzz(GetParam(), 1, 0, kCases, work);
  EXPECT_EQ(result.accepted + result.refused, kCases);
  EXPECT_GT(result.refused, kCases / 10);
}

INSTANTIATE_TEST_SUITE_P(Campaigns, Fuzz, testing::ValuesIn(fuzz_campaigns()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace strata

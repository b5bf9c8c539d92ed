#include "tools/goldens/tolerance.h"

#include <limits>

#include "tests/core/testing.h"

namespace strata {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

TEST(Tolerance, TakesTheLargestDifference) {
  EXPECT_EQ(largest_difference(tensor({1, 2, 3}, {3}), tensor({1, 2.5, 2.75}, {3})), 0.5);
  EXPECT_EQ(largest_difference(tensor({}, {0}), tensor({}, {0})), 0.0);
}

TEST(Tolerance, OtherShapesAreInfinitelyFar) {
  EXPECT_EQ(largest_difference(tensor({1, 2}, {2}), tensor({1, 2}, {1, 2})), kInf);
}

TEST(Tolerance, NanAndInfinityMustStandInTheSamePlaces) {
  EXPECT_EQ(largest_difference(tensor({kNan, kInf, 1}, {3}), tensor({kNan, kInf, 2}, {3})), 1.0);
  EXPECT_EQ(largest_difference(tensor({kNan, 1}, {2}), tensor({1, 1}, {2})), kInf);
  EXPECT_EQ(largest_difference(tensor({1, 1}, {2}), tensor({kNan, 1}, {2})), kInf);
  EXPECT_EQ(largest_difference(tensor({1}, {1}), tensor({kInf}, {1})), kInf);
  EXPECT_EQ(largest_difference(tensor({-kInf}, {1}), tensor({kInf}, {1})), kInf);
}

TEST(Tolerance, IntegersAreEqualOrNot) {
  EXPECT_EQ(largest_difference(integers({1, 2}), integers({1, 2})), 0.0);
  EXPECT_EQ(largest_difference(integers({1, 2}), integers({1, 3})), kInf);
}

TEST(Tolerance, FollowsTheReadmes) {
  EXPECT_DOUBLE_EQ(allowed_in_float64(tensor({0.5, -0.25}, {2})), 1e-10);
  EXPECT_DOUBLE_EQ(allowed_in_float64(tensor({0.5, -40, kNan, kInf}, {4})), 4e-9);
  EXPECT_DOUBLE_EQ(allowed_in_float32(tensor({3, -2}, {2}), 1e-7, 8), 8e-7 + 3e-6);
}

TEST(Tolerance, AMissingFloat32ToleranceFails) {
  std::vector<GoldenLine> lines;
  Comparison compare(lines, "kind/case", at::kFloat, Json::object());
  compare.tensor("output", tensor({1}, {1}), tensor({1}, {1}));
  ASSERT_EQ(lines.size(), 1);
  EXPECT_FALSE(lines[0].passes());
  EXPECT_EQ(lines[0].reason, "tolerances.json has no entry for \"output\"");
}

TEST(Tolerance, AnExceptionBecomesALine) {
  std::vector<GoldenLine> lines;
  guarded(lines, "kind/case", [] { throw DataError("no such thing\nand more"); });
  ASSERT_EQ(lines.size(), 1);
  EXPECT_EQ(lines[0].name, "kind/case");
  EXPECT_EQ(lines[0].reason, "no such thing");
}

}  // namespace
}  // namespace strata

#include "core/metrics/error_rates.h"

#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(ErrorRates, TheExampleOfTheSpecification) {
  const std::string hypothesis = "a ac abb d", reference = "a ab abc d";
  EXPECT_DOUBLE_EQ(error_rate(character_edits(hypothesis, reference)), 0.2);
  EXPECT_DOUBLE_EQ(error_rate(token_edits(hypothesis, reference)), 0.5);
}

TEST(ErrorRates, SumsAreDividedOnce) {
  SumCount total = token_edits("one", "one");
  total += token_edits("two three", "two");
  total += token_edits("", "four five");
  EXPECT_EQ(total.sum, 0 + 1 + 2);
  EXPECT_EQ(total.count, 1 + 1 + 2);
}

TEST(ErrorRates, EditDistance) {
  const auto distance = [](const std::string& a, const std::string& b) {
    return edit_distance(code_points(a), code_points(b));
  };
  EXPECT_EQ(distance("", ""), 0);
  EXPECT_EQ(distance("", "abc"), 3);
  EXPECT_EQ(distance("abc", ""), 3);
  EXPECT_EQ(distance("kitten", "sitting"), 3);
  EXPECT_EQ(distance("ab", "ba"), 2);
}

TEST(ErrorRates, SplitsAsS3prl) {
  EXPECT_EQ(split_at_spaces(""), std::vector<std::string>{""});
  EXPECT_EQ(split_at_spaces(" a  b"), (std::vector<std::string>{"", "a", "", "b"}));
  EXPECT_EQ(split_at_white_space("  a \t b\n"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(split_at_white_space("").empty());
}

TEST(ErrorRates, CountsCodePoints) {
  EXPECT_EQ(code_points("a\u00e4\u65e5\U0001F680"), (std::vector<char32_t>{U'a', U'\u00e4', U'\u65e5', U'\U0001F680'}));
  EXPECT_EQ(code_points("\xE6\x97"), (std::vector<char32_t>{0xE6, 0x97})) << "cut off in the middle";
  EXPECT_EQ(code_points("\x80z"), (std::vector<char32_t>{0x80, U'z'})) << "begins in the middle";
}

TEST(ErrorRates, EmptyReferences) {
  EXPECT_EQ(error_of<DataError>([] { error_rate(character_edits("a", "")); }),
            "error rate: the references are empty, so there is nothing to divide by");
  EXPECT_EQ(asr_error_rate_percent({3, 0}), 100.0);
  EXPECT_EQ(asr_error_rate_percent({1, 4}), 25.0);
}

}  // namespace
}  // namespace strata

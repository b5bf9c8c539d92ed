#include "core/metrics/ctc_decoding.h"

#include "tests/core/testing.h"

namespace strata {
namespace {

using Ids = std::vector<std::int64_t>;

TEST(CtcDecoding, CollapsesRepeatsBeforeItDrops) {
  EXPECT_EQ(ctc_collapse({0, 4, 4, 0, 4, 5, 5, 1, 5}, {0, 1}), (Ids{4, 4, 5, 5}));
  EXPECT_EQ(ctc_collapse({0, 0, 1}, {0, 1}), Ids{});
  EXPECT_EQ(ctc_collapse({}, {0}), Ids{});
}

TEST(CtcDecoding, PrintsAsTheTasksDo) {
  EXPECT_EQ(spaced_text({1, 0, 1}, {"B", "AA1"}), "AA1 B AA1");
  EXPECT_EQ(slot_text({0, 2, 1, 3, 0}, {"A", "O", "B-x", "E-x"}), "AB-x O E-xA");
  EXPECT_EQ(letter_text({1, 0, 2, 1}, {"|", "A", "B"}), "A BA");
  EXPECT_EQ(spaced_text({}, {}), "");
}

TEST(CtcDecoding, RefusesIdsWithoutAName) {
  EXPECT_EQ(error_of<DataError>([] {
              spaced_text({2}, {"A", "B"});
            }),
            "CTC: symbol 2 is not one of the 2 of the vocabulary");
}

}  // namespace
}  // namespace strata

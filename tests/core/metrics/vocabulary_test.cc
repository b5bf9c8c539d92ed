#include "core/metrics/vocabulary.h"

#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(Vocabulary, HasTheSizesOfSuperb) {
  EXPECT_EQ(phone_vocabulary().size(), 74);
  EXPECT_EQ(letter_vocabulary().size(), 32);
  EXPECT_EQ(slot_vocabulary(std::vector<std::string>(39, "x")).size(), 109);
}

TEST(Vocabulary, HasItsMarksInPlace) {
  EXPECT_EQ(phone_vocabulary()[0], "<pad>");
  EXPECT_EQ(phone_vocabulary()[1], "<eos>");
  EXPECT_EQ(phone_vocabulary()[5], "AA0");
  EXPECT_EQ(phone_vocabulary()[73], "ZH");
  EXPECT_EQ(letter_vocabulary()[0], "<s>");
  EXPECT_EQ(letter_vocabulary()[2], "</s>");
  EXPECT_EQ(letter_vocabulary()[4], "|");
  EXPECT_EQ(slot_vocabulary({"artist"})[30], "'");
  EXPECT_EQ(slot_vocabulary({"artist"})[31], "B-artist");
  EXPECT_EQ(slot_vocabulary({"artist"})[32], "E-artist");
}

}  // namespace
}  // namespace strata

#include "data/corpora/text.h"

#include <gmock/gmock.h>

namespace strata {
namespace {

TEST(NormalizeText, LowerCaseWithoutPunctuation) {
  EXPECT_EQ(normalize_text("Wat is dit voor raar schip?"), "wat is dit voor raar schip");
  EXPECT_EQ(normalize_text("  Nou... Ja -- nee!\n"), "nou ja nee");
  EXPECT_EQ(normalize_text("LC-10 Lemura"), "lc 10 lemura");
  EXPECT_EQ(normalize_text("?!"), "");
  EXPECT_EQ(normalize_text(""), "");
}

TEST(NormalizeText, ApostrophesStayInsideWordsOnly) {
  EXPECT_EQ(normalize_text("Zo'n 't zo\xE2\x80\x99n 'woord' foto's'"), "zo'n t zo'n woord foto's");
  EXPECT_EQ(normalize_text("a'' b 'c"), "a b c");
}

TEST(NormalizeText, LettersOfOtherScripts) {
  EXPECT_EQ(normalize_text("PŘÍLIŠ ŽLUŤOUČKÝ KŮŇ Ÿ"), "příliš žluťoučký kůň ÿ");
  EXPECT_EQ(normalize_text("Één ÏJ ØÅ ×÷"), "één ïj øå");
  EXPECT_EQ(normalize_text("Ёлка, ЩУКА Ґ"), "ёлка щука ґ");
  EXPECT_EQ(normalize_text("ΆΓΙΟΣ Ώρα"), "άγιοσ ώρα");
  EXPECT_EQ(normalize_text("Ștefan Țară"), "ștefan țară");
}

TEST(NormalizeText, BytesThatAreNoUtf8AreBlanks) {
  EXPECT_EQ(normalize_text("a\xFF"
                           "b\xC3"),
            "a b");
  EXPECT_EQ(normalize_text("a\xE2\x80"), "a");
}

TEST(HasDigit, FindsThem) {
  EXPECT_TRUE(has_digit("lc 10"));
  EXPECT_FALSE(has_digit("tien"));
}

}  // namespace
}  // namespace strata

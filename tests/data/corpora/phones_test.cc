#include "data/corpora/phones.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What version 1.51 prints.
TEST(Phones, AreTakenFromWhatIsPrinted) {
  EXPECT_EQ(phones_of_output("h_\u02C8\u0251_l_o\u02D0\n _\u026A_k b_\u025B_n\n"),
            "h \u0251 l o\u02D0 \u026A k b \u025B n");
  EXPECT_EQ(phones_of_output("h_\u025B\u026A_s__ s"), "h \u025B\u026A s s");
  EXPECT_EQ(phones_of_output("l_\u0259- (en)_\u02C8\u0254_k(nl) \u02CCa"), "l \u0259 \u0254 k a");
  EXPECT_EQ(phones_of_output("\n"), "");
}

TEST(Phones, OfTextsByTheProgram) {
  const std::vector<std::string> phones = espeak_phones({"hallo", "", "ik ben; -v"}, "nl");
  EXPECT_THAT(phones, ElementsAre("h \u0251 l o\u02D0", "", testing::StartsWith("\u026A k b \u025B n")));
  EXPECT_EQ(espeak_phones({"hallo"}, "nl"), espeak_phones({"Hallo!"}, "nl"));
}

TEST(Phones, NamesAVoiceThatIsNotThere) {
  EXPECT_THAT(error_of<ConfigError>([] {
                espeak_phones({"a", "b", "c"}, "xx-none");
              }),
              HasSubstr("does it have the voice \"xx-none\"?"));
}

}  // namespace
}  // namespace strata

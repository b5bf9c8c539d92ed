#include "data/corpora/fillets_script.h"

#include <gmock/gmock.h>

namespace strata {
namespace {

TEST(FilletsScript, ReadsPairsAndPassesOverTheRest) {
  FilletsScript script;
  parse_fillets_dialogs(
      "-- dialogs\n"
      "dialogId(\"a-m-x\", \"font_small\", \"What (really)?\")\n"
      "dialogStr(\"Wat \\\"echt\\\"? C:\\\\X\")\n\n"
      "dialogId(\"untranslated\", \"font_big\", \"Alone.\")\n"
      "dialogId(\"noise\", \"\", \"Boom\")\ndialogStr(\"Boem\")\n"
      "dialogId(\"b-v-y\",  \"font_big\",\"Yes.\") dialogStr(\"Ja.\")",
      "city", script);
  ASSERT_EQ(script.size(), 3u);
  const FilletsLine a = script.at({"city", "a-m-x"});
  EXPECT_EQ(a.speaker, "small");
  EXPECT_EQ(a.text, "Wat \"echt\"? C:\\X");
  EXPECT_EQ(script.at({"city", "noise"}).speaker, "");
  EXPECT_EQ(script.at({"city", "b-v-y"}).text, "Ja.");
}

TEST(FilletsScript, NoFolderNoLines) { EXPECT_TRUE(read_fillets_script("/nothing/here", "nl").empty()); }

}  // namespace
}  // namespace strata

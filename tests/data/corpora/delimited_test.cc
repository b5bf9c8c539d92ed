#include "data/corpora/delimited.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DelimitedRows read(const std::string& name, const std::string& content) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  write_file_atomically(path, content);
  return read_delimited(path);
}

TEST(Delimited, CsvWithQuotesCommasLineEndsAndAMark) {
  const DelimitedRows rows =
      read("a.csv", "\xEF\xBB\xBFid,audio\r\n\"a, 1\",\"say \"\"yes\"\"\"\r\n\n\"two\nlines\",\nx,y");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_THAT(rows[0].cells, ElementsAre("id", "audio"));
  EXPECT_THAT(rows[1].cells, ElementsAre("a, 1", "say \"yes\""));
  EXPECT_THAT(rows[2].cells, ElementsAre("two\nlines", ""));
  EXPECT_THAT(rows[3].cells, ElementsAre("x", "y"));
  EXPECT_EQ(rows[2].line, 4);
  EXPECT_EQ(rows[3].line, 6);
}

TEST(Delimited, TsvTakesQuotesAsTheyAre) {
  const DelimitedRows rows = read("a.tsv", "id\ttext\n1\t\"so\n2\t\n");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_THAT(rows[1].cells, ElementsAre("1", "\"so"));
  EXPECT_THAT(rows[2].cells, ElementsAre("2", ""));
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no ConfigError";
}

TEST(Delimited, NamesFileAndLineOfBadQuotes) {
  EXPECT_THAT(error_of([] { read("b.csv", "id,text\n1,\"open\n2,x\n"); }),
              HasSubstr("b.csv line 2: a quote that does not end"));
  EXPECT_THAT(error_of([] { read("b.csv", "id,text\n1,\"a\"b\n"); }),
              HasSubstr("b.csv line 2: text after the closing quote of a cell"));
}

TEST(Seconds, AreNumbersFromZeroOn) {
  EXPECT_EQ(parse_seconds("1.5", "the start", "f line 1"), 1.5);
  EXPECT_EQ(error_of([] { parse_seconds("1.5s", "the start", "f line 1"); }),
            "f line 1: the start is \"1.5s\", but must be a number of seconds");
  EXPECT_THAT(error_of([] { parse_seconds("-1", "x", "p"); }), HasSubstr("\"-1\""));
  EXPECT_THAT(error_of([] { parse_seconds("nan", "x", "p"); }), HasSubstr("\"nan\""));
}

TEST(Words, TheLastHoldsTheRest) {
  EXPECT_THAT(split_words("  a b\t c d  ", 3), ElementsAre("a", "b", "c d"));
  EXPECT_THAT(split_words("a", 2), ElementsAre("a"));
  EXPECT_TRUE(split_words("  ", 2).empty());
}

}  // namespace
}  // namespace strata

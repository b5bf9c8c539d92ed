#include <gmock/gmock.h>

#include "core/base/error.h"
#include "data/manifest/manifest.h"
#include "tests/data/corpora/tree.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TableTest : public testing::Test {
 protected:
  TableTest() : tree_("table") {
    tree_.tone("data/a.wav", 440, 0.5);
    tree_.tone("data/b.wav", 880, 1.0);
  }
  std::string error(const std::string& csv) {
    tree_.text("data/list.csv", csv);
    return prepare_error(tree_, R"({"type": "table"})", tree_.root() / "data");
  }
  Tree tree_;
};

TEST_F(TableTest, ColumnsBecomeFields) {
  tree_.text("data/list.csv",
             "id,audio,duration,speaker,text,slots,set\n"
             "u1,a.wav,,ann,\"hello, you\",\"{\"\"action\"\": \"\"go\"\"}\",train\n"
             "u2,b.wav,0.25,ben,,,test\n");
  const Json record =
      prepare(tree_, R"({"type": "table", "tasks": ["ic"], "split_column": "set"})", tree_.root() / "data");
  EXPECT_EQ(record["corpus"], "list");
  EXPECT_EQ(
      read_file(tree_.root() / "manifests/utterances.jsonl"),
      "{\"audio\":\"../data/a.wav\",\"duration\":0.5,\"id\":\"u1\",\"set\":\"train\",\"slots\":{\"action\":\"go\"},"
      "\"speaker\":\"ann\",\"text\":\"hello, you\"}\n"
      "{\"audio\":\"../data/b.wav\",\"duration\":0.25,\"id\":\"u2\",\"set\":\"test\",\"speaker\":\"ben\"}\n");
  const Corpus corpus = Corpus::read(tree_.root() / "manifests");
  EXPECT_THAT(corpus.split("ic", "test").utterances, ElementsAre(1));
}

TEST_F(TableTest, TsvAndAudioRoot) {
  tree_.text("lists/list.tsv", "audio\tid\na.wav\tu1\n");
  prepare(tree_, R"({"type": "table", "audio_root": ")" + (tree_.root() / "data").string() + "\"}",
          tree_.root() / "lists/list.tsv");
  EXPECT_EQ(Corpus::read(tree_.root() / "manifests").utterances()[0].id, "u1");
}

TEST_F(TableTest, AFileThatIsNoAudioStaysAndIsCounted) {
  tree_.text("data/c.wav", "no audio");
  tree_.text("data/list.csv", "id,audio\nu1,a.wav\nu2,c.wav\n");
  const Json record = prepare(tree_, R"({"type": "table"})", tree_.root() / "data");
  EXPECT_EQ(record["notes"]["unreadable"], 1);
  EXPECT_EQ(record["counts"]["utterances"], 2);
  EXPECT_EQ(record["counts"]["utterances_without_duration"], 1);
}

TEST_F(TableTest, ErrorsNameFileAndLine) {
  EXPECT_THAT(error(""), HasSubstr("list.csv: is empty"));
  EXPECT_THAT(error("id,path\n"), HasSubstr("list.csv line 1: there is no column \"audio\""));
  EXPECT_THAT(error("id,audio,id\n"), HasSubstr("list.csv line 1: two columns are named \"id\""));
  EXPECT_THAT(error("id,audio\nu1\n"), HasSubstr("list.csv line 2: 1 cells, but the first line names 2 columns"));
  EXPECT_THAT(error("id,audio\n,a.wav\n"), HasSubstr("list.csv line 2: the column \"id\" is empty"));
  EXPECT_THAT(error("id,audio\nu1,a.wav\nu1,b.wav\n"),
              HasSubstr("list.csv line 3: the id \"u1\" was given already in "));
  EXPECT_THAT(error("id,audio\nu1,z.wav\n"), HasSubstr("list.csv line 2: there is no audio file "));
  EXPECT_THAT(error("id,audio,offset\nu1,a.wav,x\n"),
              HasSubstr("list.csv line 2: offset is \"x\", but must be a number of seconds"));
  EXPECT_THAT(error("id,audio,slots\nu1,a.wav,{\n"), HasSubstr("list.csv line 2 \"slots\": not valid JSON"));
  EXPECT_THAT(error("id,audio\n"), HasSubstr("corpus list: no utterance was found"));
  tree_.text("data/other.tsv", "");
  EXPECT_THAT(error("id,audio\n"), HasSubstr("holds 2 files *.csv and *.tsv"));
}

TEST_F(TableTest, WrongOptionsAndNoSource) {
  EXPECT_THAT(prepare_error(tree_, R"({"type": "tabel"})", tree_.root()),
              HasSubstr("strata prepare /type: unknown corpus \"tabel\", did you mean \"table\"?"));
  EXPECT_THAT(prepare_error(tree_, R"({"type": "table", "task": "x"})", tree_.root()), HasSubstr("/task: unknown key"));
  EXPECT_THAT(prepare_error(tree_, R"({"type": "table"})", tree_.root() / "nothing"),
              HasSubstr("nothing is not there"));
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "data/manifest/manifest.h"
#include "tests/data/corpora/tree.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class KaldiTest : public testing::Test {
 protected:
  KaldiTest() : tree_("kaldi") {
    tree_.tone("k/a.wav", 440, 2.0);
    tree_.tone("k/b.wav", 880, 1.0);
    tree_.text("k/wav.scp", "rec1 a.wav\nrec2 b.wav\n");
  }
  std::string error() { return prepare_error(tree_, R"({"type": "kaldi"})", tree_.root() / "k"); }
  Tree tree_;
};

TEST_F(KaldiTest, RecordingsWithTextSpeakersAndGender) {
  tree_.text("k/text", "rec1 hello  there\nrec2\n");
  tree_.text("k/utt2spk", "rec1 ann\nrec2 ben\n");
  tree_.text("k/utt2lang", "rec1 en\n");
  tree_.text("k/spk2gender", "ann f\n");
  prepare(tree_, R"({"type": "kaldi"})", tree_.root() / "k");
  EXPECT_EQ(read_file(tree_.root() / "manifests/utterances.jsonl"),
            "{\"audio\":\"../k/a.wav\",\"duration\":2.0,\"gender\":\"f\",\"id\":\"rec1\",\"language\":\"en\","
            "\"speaker\":\"ann\",\"text\":\"hello  there\"}\n"
            "{\"audio\":\"../k/b.wav\",\"duration\":1.0,\"id\":\"rec2\",\"speaker\":\"ben\",\"text\":\"\"}\n");
}

TEST_F(KaldiTest, SegmentsAreTheUtterances) {
  tree_.text("k/segments", "u1 rec1 0.25 1.5\nu2 rec1 1.5 -1\n");
  tree_.text("k/text", "u1 hello\nu2 you\n");
  prepare(tree_, R"({"type": "kaldi"})", tree_.root() / "k");
  EXPECT_EQ(read_file(tree_.root() / "manifests/utterances.jsonl"),
            "{\"audio\":\"../k/a.wav\",\"duration\":1.25,\"id\":\"u1\",\"offset\":0.25,\"text\":\"hello\"}\n"
            "{\"audio\":\"../k/a.wav\",\"duration\":0.5,\"id\":\"u2\",\"offset\":1.5,\"text\":\"you\"}\n");
}

TEST_F(KaldiTest, SubFoldersAreSplits) {
  tree_.text("data/train/wav.scp", "u1 " + (tree_.root() / "k/a.wav").string() + "\n");
  tree_.text("data/test/wav.scp", "u2 " + (tree_.root() / "k/b.wav").string() + "\n");
  tree_.text("data/local/notes", "");
  prepare(tree_, R"({"type": "kaldi", "tasks": ["asr"]})", tree_.root() / "data");
  const Corpus corpus = Corpus::read(tree_.root() / "manifests");
  EXPECT_EQ(corpus.name(), "data");
  ASSERT_EQ(corpus.splits().size(), 2u);
  EXPECT_EQ(corpus.utterances()[corpus.split("asr", "train").utterances[0]].id, "u1");
  EXPECT_EQ(corpus.utterances()[corpus.split("asr", "test").utterances[0]].id, "u2");
}

TEST_F(KaldiTest, ErrorsNameFileAndLine) {
  tree_.text("k/text", "rec1 a\nrec9 b\n");
  EXPECT_THAT(error(), HasSubstr("text line 2: there is no utterance \"rec9\" in wav.scp"));
  tree_.text("k/text", "rec1 a\nrec1 b\n");
  EXPECT_THAT(error(), HasSubstr("text line 2: \"rec1\" was given already in line 1"));
  fs::remove(tree_.root() / "k/text");
  tree_.text("k/utt2spk", "rec1\n");
  EXPECT_THAT(error(), HasSubstr("utt2spk line 1: nothing follows \"rec1\""));
  fs::remove(tree_.root() / "k/utt2spk");
  tree_.text("k/segments", "u1 rec9 0 1\n");
  EXPECT_THAT(error(), HasSubstr("segments line 1: there is no recording \"rec9\" in wav.scp"));
  tree_.text("k/segments", "u1 rec1 1 0.5\n");
  EXPECT_THAT(error(), HasSubstr("segments line 1: the segment ends at 0.5 s, not after its start at 1 s"));
  tree_.text("k/segments", "u1 rec1 0\n");
  EXPECT_THAT(error(), HasSubstr("segments line 1: expected <utterance> <recording> <start> <end>"));
  fs::remove(tree_.root() / "k/segments");
  tree_.text("k/wav.scp", "rec1 sph2pipe -f wav x.sph |\n");
  EXPECT_THAT(error(), HasSubstr("wav.scp line 1: a command; Strata runs none"));
  tree_.text("k/wav.scp", "rec1 wav.ark:17\n");
  EXPECT_THAT(error(), HasSubstr("wav.scp line 1: audio inside an archive"));
  tree_.text("k/wav.scp", "rec1 a.wav\nrec2 z.wav\n");
  EXPECT_THAT(error(), HasSubstr("wav.scp line 2: there is no audio file "));
  fs::remove(tree_.root() / "k/wav.scp");
  EXPECT_THAT(error(), HasSubstr("k: is no Kaldi data directory"));
}

}  // namespace
}  // namespace strata

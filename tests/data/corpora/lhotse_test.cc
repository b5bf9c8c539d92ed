#include <gmock/gmock.h>

#include "core/base/error.h"
#include "data/manifest/manifest.h"
#include "tests/data/corpora/tree.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// A recording as lhotse writes it.
std::string recording(const std::string& id, const std::string& file, const std::string& channels = "[0]",
                      const std::string& type = "file") {
  return R"({"id": ")" + id + R"(", "sources": [{"type": ")" + type + R"(", "channels": )" + channels +
         R"(, "source": ")" + file +
         R"("}], "sampling_rate": 8000, "num_samples": 16000, "duration": 2.0, "channel_ids": )" + channels + "}";
}

class LhotseTest : public testing::Test {
 protected:
  LhotseTest() : tree_("lhotse") { tree_.tone("l/a.wav", 440, 2.0); }
  std::string error() { return prepare_error(tree_, R"({"type": "lhotse"})", tree_.root() / "l"); }
  std::string manifest() { return read_file(tree_.root() / "manifests/utterances.jsonl"); }
  Tree tree_;
};

TEST_F(LhotseTest, RecordingsAndSupervisions) {
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav") + "\n");
  tree_.text(
      "l/supervisions.jsonl",
      R"({"id": "u1", "recording_id": "r1", "start": 0.0, "duration": 2.0, "channel": 0, "text": "hello", "speaker": "ann", "custom": {"emotion": "hap"}})"
      "\n"
      R"({"id": "u2", "recording_id": "r1", "start": 0.5, "duration": 0.25, "channel": 0, "language": "en"})"
      "\n");
  prepare(tree_, R"({"type": "lhotse"})", tree_.root() / "l");
  EXPECT_EQ(manifest(),
            "{\"audio\":\"../l/"
            "a.wav\",\"duration\":2.0,\"emotion\":\"hap\",\"id\":\"u1\",\"speaker\":\"ann\",\"text\":\"hello\"}\n"
            "{\"audio\":\"../l/a.wav\",\"duration\":0.25,\"id\":\"u2\",\"language\":\"en\",\"offset\":0.5}\n");
}

TEST_F(LhotseTest, RecordingsAlone) {
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav") + "\n");
  prepare(tree_, R"({"type": "lhotse"})", tree_.root() / "l");
  EXPECT_EQ(manifest(), "{\"audio\":\"../l/a.wav\",\"duration\":2.0,\"id\":\"r1\"}\n");
}

TEST_F(LhotseTest, CutsWithPartsInTheirNames) {
  const std::string head = R"("type": "MonoCut", "channel": 0, "recording": )" + recording("r1", "a.wav");
  tree_.text(
      "l/my_cuts_train.jsonl",
      R"({"id": "c1", "start": 0.5, "duration": 1.0, "supervisions": [{"id": "s", "recording_id": "r1", "start": 0, "duration": 1.0, "text": "hi"}], )" +
          head + "}\n");
  tree_.text(
      "l/my_cuts_dev.jsonl",
      R"({"id": "c2", "start": 0.0, "duration": 2.0, "supervisions": [{"start": 0, "duration": 1.0, "speaker": "a"}, {"start": 0.5, "duration": 1.0, "speaker": "b"}], )" +
          head + "}\n");
  prepare(tree_, R"({"type": "lhotse", "tasks": ["sd"]})", tree_.root() / "l");
  EXPECT_EQ(
      manifest(),
      "{\"audio\":\"../l/"
      "a.wav\",\"duration\":2.0,\"id\":\"c2\",\"part\":\"dev\",\"segments\":[{\"end\":1.0,\"speaker\":\"a\","
      "\"start\":0.0},{\"end\":1.5,\"speaker\":\"b\",\"start\":0.5}]}\n"
      "{\"audio\":\"../l/a.wav\",\"duration\":1.0,\"id\":\"c1\",\"offset\":0.5,\"part\":\"train\",\"text\":\"hi\"}\n");
  const Corpus corpus = Corpus::read(tree_.root() / "manifests");
  EXPECT_TRUE(corpus.has_split("sd", "train"));
  EXPECT_TRUE(corpus.has_split("sd", "dev"));
}

TEST_F(LhotseTest, ErrorsNameFileAndLine) {
  EXPECT_THAT(error(), HasSubstr("l: holds neither *cuts*.jsonl nor *recordings*.jsonl"));
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav") + "\n" + recording("r1", "a.wav") + "\n");
  EXPECT_THAT(error(), HasSubstr("recordings.jsonl line 2: the recording \"r1\" was given already"));
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav", "[0]", "command") + "\n");
  EXPECT_THAT(error(), HasSubstr("recordings.jsonl line 1: a source of type \"command\"; Strata reads \"file\" only"));
  tree_.text("l/recordings.jsonl", "{\"id\": \"r1\"}\n");
  EXPECT_THAT(error(), HasSubstr("recordings.jsonl line 1: \"sources\" is missing"));
  tree_.text("l/recordings.jsonl", "{\"id\": 3, \"sources\": []}\n");
  EXPECT_THAT(error(), HasSubstr("recordings.jsonl line 1: \"id\" is 3, of the wrong type"));
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav") + "\n");
  tree_.text("l/supervisions.jsonl", R"({"id": "u", "recording_id": "r9", "start": 0, "duration": 1})");
  EXPECT_THAT(error(), HasSubstr("supervisions.jsonl line 1: there is no recording \"r9\" in recordings.jsonl"));
  tree_.text("l/supervisions.jsonl", R"({"id": "u", "recording_id": "r1", "start": 0, "duration": 0})");
  EXPECT_THAT(error(), HasSubstr("supervisions.jsonl line 1: starts at 0 s and lasts 0 s"));
  tree_.text("l/recordings.jsonl", recording("r1", "a.wav", "[0, 1]") + "\n");
  tree_.text("l/supervisions.jsonl", R"({"id": "u", "recording_id": "r1", "start": 0, "duration": 1, "channel": 1})");
  EXPECT_THAT(error(), HasSubstr("supervisions.jsonl line 1: channel 1 of "));
  tree_.text("l/cuts.jsonl", R"({"id": "c", "type": "MixedCut"})");
  EXPECT_THAT(error(), HasSubstr("cuts.jsonl line 1: a MixedCut; Strata reads MonoCut only"));
}

}  // namespace
}  // namespace strata

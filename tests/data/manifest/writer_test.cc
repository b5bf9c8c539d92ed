#include "data/manifest/writer.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Writer : public testing::Test {
 protected:
  Writer() : root_(fs::path(testing::TempDir()) / "writer") {
    fs::remove_all(root_);
    write_file_atomically(root_ / "audio/a.wav", "");
    write_file_atomically(root_ / "audio/b.wav", "");
    draft_.name = "test";
    draft_.version = "1";
    draft_.utterances = {{"a", root_ / "audio/a.wav", 0, 3600.0, {{"speaker", "ann"}}, "list line 1"},
                         {"b", root_ / "audio/b.wav", 1.5, 1800.0, {{"text", "é"}}, "list line 2"}};
    draft_.splits = {{"sid.train", {"b", "a"}}, {"sid.test", {"a"}}};
    draft_.notes = {{"skipped", 3}};
  }

  std::string error() {
    try {
      write_corpus(draft_, root_ / "manifests");
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "no ConfigError";
  }

  fs::path root_;
  CorpusDraft draft_;
};

TEST_F(Writer, WritesWhatTheReaderReads) {
  write_corpus(draft_, root_ / "manifests");
  EXPECT_EQ(read_file(root_ / "manifests/utterances.jsonl"),
            "{\"audio\":\"../audio/a.wav\",\"duration\":3600.0,\"id\":\"a\",\"speaker\":\"ann\"}\n"
            "{\"audio\":\"../audio/b.wav\",\"duration\":1800.0,\"id\":\"b\",\"offset\":1.5,\"text\":\"é\"}\n");
  EXPECT_EQ(read_file(root_ / "manifests/sid.train.txt"), "b\na\n");
  const Corpus corpus = Corpus::read(root_ / "manifests");
  EXPECT_EQ(corpus.name(), "test");
  EXPECT_EQ(corpus.utterances()[1].offset, 1.5);
  EXPECT_THAT(corpus.split("sid", "train").utterances, ElementsAre(1, 0));
  const Json& record = corpus.record();
  EXPECT_EQ(record["counts"].dump(), R"({"sid.test":1,"sid.train":2,"utterances":2})");
  EXPECT_EQ(record["hours"].dump(), R"({"sid.test":1.0,"sid.train":1.5,"utterances":1.5})");
  EXPECT_EQ(record["notes"]["skipped"], 3);
  EXPECT_EQ(record["version"], "1");
  EXPECT_EQ(record["files"].size(), 3u);
  EXPECT_EQ(record["files"]["sid.test.txt"], corpus.hashes().at("sid.test.txt"));
}

TEST_F(Writer, AudioFarFromTheManifestsIsAbsolute) {
  write_corpus(draft_, root_ / "deep/er/manifests");
  EXPECT_THAT(read_file(root_ / "deep/er/manifests/utterances.jsonl"),
              HasSubstr("\"audio\":\"" + (root_ / "audio/a.wav").string() + "\""));
  write_corpus(draft_, root_);
  EXPECT_THAT(read_file(root_ / "utterances.jsonl"), HasSubstr("\"audio\":\"audio/a.wav\""));
}

TEST_F(Writer, WritingAgainGivesTheSameBytesAndRemovesOldSplits) {
  const fs::path directory = root_ / "manifests";
  write_corpus(draft_, directory);
  const std::string manifest = read_file(directory / "utterances.jsonl"),
                    record = read_file(directory / "manifest.json");
  write_corpus(draft_, directory);
  EXPECT_EQ(read_file(directory / "utterances.jsonl"), manifest);
  EXPECT_EQ(read_file(directory / "manifest.json"), record);
  draft_.splits.erase("sid.test");
  write_corpus(draft_, directory);
  EXPECT_FALSE(fs::exists(directory / "sid.test.txt"));
  EXPECT_FALSE(fs::exists(directory / "unfinished"));
}

TEST_F(Writer, ReaderRefusesChangedLostAndUnfinishedFiles) {
  const fs::path directory = root_ / "manifests";
  const auto read_error = [&] {
    try {
      Corpus::read(directory);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no ConfigError");
  };
  write_corpus(draft_, directory);
  write_file_atomically(directory / "sid.train.txt", "a\n");
  EXPECT_THAT(read_error(), HasSubstr("sid.train.txt: was changed after it was written"));
  write_corpus(draft_, directory);
  fs::remove(directory / "sid.test.txt");
  EXPECT_THAT(read_error(), HasSubstr("sid.test.txt: is listed in manifest.json but not there"));
  write_corpus(draft_, directory);
  write_file_atomically(directory / "unfinished", "");
  EXPECT_THAT(read_error(), HasSubstr("writing these manifests was interrupted; run the same `strata prepare` again"));
}

TEST_F(Writer, RefusesWrongDrafts) {
  const CorpusDraft good = draft_;
  draft_.utterances[1].id = "a";
  EXPECT_THAT(error(), HasSubstr("list line 2: the id \"a\" was given already in list line 1"));
  draft_ = good;
  draft_.utterances[1].audio = root_ / "audio/c.wav";
  EXPECT_THAT(error(), HasSubstr("list line 2: there is no audio file "));
  draft_ = good;
  draft_.splits["sid.dev"] = {};
  EXPECT_THAT(error(), HasSubstr("the split sid.dev would be empty"));
  draft_.utterances.clear();
  EXPECT_THAT(error(), HasSubstr("corpus test: no utterance was found"));
  EXPECT_FALSE(fs::exists(root_ / "manifests"));
}

}  // namespace
}  // namespace strata

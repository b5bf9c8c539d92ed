#include "data/manifest/manifest.h"

#include <gmock/gmock.h>

#include <chrono>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

/// A fresh corpus directory with audio files a.wav and b.wav (empty: only their being there is asked).
class CorpusDirectory {
 public:
  explicit CorpusDirectory(const std::string& name, const std::string& manifest = kTwo)
      : path_(fs::path(testing::TempDir()) / name) {
    fs::remove_all(path_);
    write("a.wav", "");
    write("b.wav", "");
    write("utterances.jsonl", manifest);
  }
  void write(const std::string& file, const std::string& content) { write_file_atomically(path_ / file, content); }
  const fs::path& path() const { return path_; }

  std::string error() const {
    try {
      Corpus::read(path_);
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "no ConfigError";
  }

  static constexpr const char* kTwo =
      "{\"id\": \"a\", \"audio\": \"a.wav\", \"speaker\": \"ann\", \"mine\": [1, 2]}\n"
      "{\"id\": \"b\", \"audio\": \"b.wav\", \"offset\": 0.5, \"duration\": 1.25}\n";

 private:
  fs::path path_;
};

TEST(Corpus, ReadsUtterancesSplitsAndUnknownFields) {
  CorpusDirectory directory("good");
  directory.write("sid.train.txt", "b\na\n");
  directory.write("er.fold1.train.txt", "a\n");
  directory.write("notes.txt", "no split\n");
  const Corpus corpus = Corpus::read(directory.path());
  EXPECT_EQ(corpus.name(), "good");
  ASSERT_EQ(corpus.utterances().size(), 2u);
  const Utterance& a = corpus.utterances()[0];
  EXPECT_EQ(a.id, "a");
  EXPECT_EQ(a.audio, directory.path() / "a.wav");
  EXPECT_EQ(a.offset, 0);
  EXPECT_FALSE(a.duration.has_value());
  EXPECT_EQ(a.fields.dump(), R"({"mine":[1,2],"speaker":"ann"})");
  const Utterance& b = corpus.utterances()[1];
  EXPECT_EQ(b.offset, 0.5);
  EXPECT_EQ(b.duration, 1.25);
  EXPECT_THAT(b.place, EndsWith("utterances.jsonl line 2"));
  ASSERT_EQ(corpus.splits().size(), 2u);
  EXPECT_THAT(corpus.split("sid", "train").utterances, ElementsAre(1, 0));
  EXPECT_THAT(corpus.split("er", "fold1.train").utterances, ElementsAre(0));
  EXPECT_TRUE(corpus.has_split("sid", "train"));
  EXPECT_FALSE(corpus.has_split("sid", "test"));
  EXPECT_EQ(corpus.hashes().size(), 3u);
  EXPECT_EQ(corpus.find("b"), 1u);
  EXPECT_FALSE(corpus.find("c").has_value());
}

TEST(Corpus, ItsContentIsNotWhereTheAudioLies) {
  const auto hash = [](const std::string& lines) {
    CorpusDirectory directory("content", lines);
    return Corpus::read(directory.path(), /*check_audio=*/false).content_hash();
  };
  const std::string here = hash("{\"id\": \"a\", \"audio\": \"a.wav\", \"speaker\": \"ann\"}\n");
  EXPECT_EQ(hash("{\"speaker\": \"ann\", \"id\": \"a\", \"audio\": \"/elsewhere/a.wav\"}\n"), here);
  EXPECT_NE(hash("{\"id\": \"a\", \"audio\": \"a.wav\", \"speaker\": \"bob\"}\n"), here);
  EXPECT_NE(hash("{\"id\": \"a\", \"audio\": \"a.wav\", \"speaker\": \"ann\", \"offset\": 0.5}\n"), here);
}

TEST(Corpus, NamesLineOfBadUtterances) {
  const auto error = [](const std::string& lines) { return CorpusDirectory("bad", lines).error(); };
  const std::string a = "{\"id\": \"a\", \"audio\": \"a.wav\"}\n";
  EXPECT_THAT(error(a + "{\"id\": \"b\" \"audio\"\n"), HasSubstr("utterances.jsonl line 2: not valid JSON: "));
  EXPECT_THAT(error(a + "{\"audio\": \"a.wav\"}\n"), HasSubstr("utterances.jsonl line 2: the key \"id\" is missing"));
  EXPECT_THAT(error(a + "\n{\"id\": \"b\"}\n"), HasSubstr("utterances.jsonl line 3: the key \"audio\" is missing"));
  EXPECT_THAT(error(a + "{\"id\": 7, \"audio\": \"a.wav\"}\n"),
              HasSubstr("line 2: \"id\" is 7, but must be a string that is not empty"));
  EXPECT_THAT(error(a + "{\"id\": \"x\\ny\", \"audio\": \"a.wav\"}\n"), HasSubstr("holds a control character"));
  EXPECT_THAT(error(a + a), AllOf(HasSubstr("line 2: the id \"a\" was given already in "), EndsWith("line 1")));
  EXPECT_THAT(
      error(a + "{\"id\": \"b\", \"audio\": \"c.wav\"}\n{\"id\": \"c\", \"audio\": \"d.wav\"}\n"),
      AllOf(HasSubstr("line 2: there is no audio file "), HasSubstr("c.wav (and 1 more utterances lack theirs)")));
  EXPECT_THAT(error("{\"id\": \"a\", \"audio\": \"a.wav\", \"duration\": \"long\"}\n"),
              HasSubstr("line 1: \"duration\" is \"long\", but must be a number of seconds"));
  EXPECT_THAT(error("{\"id\": \"a\", \"audio\": \"a.wav\", \"offset\": -1}\n"), HasSubstr("line 1: \"offset\" is -1"));
  EXPECT_THAT(error("{\"id\": \"a\", \"audio\": \"a.wav\", \"duration\": 0}\n"),
              HasSubstr("line 1: \"duration\" is 0"));
  EXPECT_THAT(error("\n"), HasSubstr("utterances.jsonl: holds no utterance"));
}

TEST(Corpus, NamesLineOfBadSplits) {
  CorpusDirectory directory("splits");
  directory.write("sid.train.txt", "a\nc\n");
  EXPECT_THAT(directory.error(), HasSubstr("sid.train.txt line 2: there is no utterance \"c\" in utterances.jsonl"));
  directory.write("sid.train.txt", "a\nb\na\n");
  EXPECT_THAT(directory.error(), HasSubstr("sid.train.txt line 3: \"a\" was given already in line 1"));
  directory.write("sid.train.txt", "");
  EXPECT_THAT(directory.error(), HasSubstr("sid.train.txt: this split is empty"));
}

TEST(Corpus, NamesWhatIsNotThere) {
  CorpusDirectory directory("absent");
  directory.write("sid.train.txt", "a\n");
  const Corpus corpus = Corpus::read(directory.path());
  try {
    corpus.split("sid", "test");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_THAT(e.what(), HasSubstr("there is no split sid.test.txt; the splits are: sid.train"));
  }
  fs::remove(directory.path() / "utterances.jsonl");
  EXPECT_THAT(directory.error(), HasSubstr("utterances.jsonl: there is no such file"));
  fs::remove_all(directory.path());
  EXPECT_THAT(directory.error(), HasSubstr("absent: there is no such directory of manifests"));
}

TEST(Corpus, RequireFieldNamesFileLineUtteranceAndTask) {
  CorpusDirectory directory("fields");
  directory.write("sid.train.txt", "a\n");
  directory.write("sid.test.txt", "b\n");
  const Corpus corpus = Corpus::read(directory.path());
  require_field(corpus, corpus.split("sid", "train"), "speaker", "task sid");
  try {
    require_field(corpus, corpus.split("sid", "test"), "speaker", "task sid");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_THAT(
        e.what(),
        HasSubstr("utterances.jsonl line 2: utterance \"b\" of sid.test has no \"speaker\", which task sid needs"));
  }
}

TEST(Corpus, ReadsAHundredThousandUtterancesInSeconds) {
  std::string manifest, train;
  for (int i = 0; i < 100000; ++i) {
    const std::string id = "speaker-" + std::to_string(i % 997) + "-" + std::to_string(i);
    manifest += "{\"id\": \"" + id + "\", \"audio\": \"" + (i % 2 == 0 ? "a.wav" : "b.wav") +
                "\", \"duration\": 3.25, \"speaker\": \"s" + std::to_string(i % 997) +
                "\", \"text\": \"what was said here in about as many words as people say\"}\n";
    train += id + "\n";
  }
  CorpusDirectory directory("large", manifest);
  directory.write("asr.train.txt", train);
  const auto start = std::chrono::steady_clock::now();
  const Corpus corpus = Corpus::read(directory.path());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(corpus.split("asr", "train").utterances.size(), 100000u);
  RecordProperty("milliseconds", static_cast<int>(seconds.count() * 1000));
  EXPECT_LT(seconds.count(), 10);
}

}  // namespace
}  // namespace strata

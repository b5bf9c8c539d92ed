#include "trainers/pretrain/selection.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/audio/audio.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// Utterances a0 .. a5 of the speakers s0, s1, s2 in turn, with the splits given.
Corpus corpus_of(const fs::path& folder, const std::map<std::string, std::string>& splits) {
  std::string manifest;
  fs::create_directories(folder);
  for (int u = 0; u < 6; ++u) {
    const std::string id = "a" + std::to_string(u);
    write_wav(folder / (id + ".wav"), std::vector<float>(160, 0.0f));
    manifest += Json{{"id", id}, {"audio", id + ".wav"}, {"speaker", "s" + std::to_string(u % 3)}}.dump() + "\n";
  }
  write_file_atomically(folder / "utterances.jsonl", manifest);
  for (const auto& [name, ids] : splits) write_file_atomically(folder / (name + ".txt"), ids);
  return Corpus::read(folder);
}

class SelectionTest : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path folder = fresh_folder();
    corpora_.emplace(
        "big", corpus_of(folder / "big", {{"sid.test", "a0\n"}, {"lid.dev", "a2\na3\n"}, {"er.fold1.test", "a4\n"}}));
    corpora_.emplace("small", corpus_of(folder / "small", {{"sid.test", "a1\n"}, {"sid.train", "a2\n"}}));
    study_.file = "study.json";
    study_.speech.train = {"big"};
  }
  std::vector<std::size_t> read(const std::string& corpus) { return select_speech(study_, corpora_).read.at(corpus); }
  std::string error() {
    return error_of<ConfigError>([&] { select_speech(study_, corpora_); });
  }

  PretrainStudy study_;
  std::map<std::string, Corpus> corpora_;
};

TEST_F(SelectionTest, TestSplitsOfEveryCorpusAreHeldOutUnlessTheStudySaysElse) {
  const SpeechSelection selection = select_speech(study_, corpora_);
  EXPECT_THAT(selection.read.at("big"), ElementsAre(2, 3, 5)) << "a1 is held out by the list of the other corpus";
  EXPECT_EQ(selection.read.size(), 1U);
  EXPECT_EQ(selection.held_out, 3);
  EXPECT_TRUE(selection.dev.empty());
  study_.speech.held_out = {"big/sid.test"};
  EXPECT_THAT(read("big"), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(SelectionTest, DevIsNotTrain) {
  study_.speech.dev = {"big/lid.dev", "big/sid.test"};
  const SpeechSelection selection = select_speech(study_, corpora_);
  EXPECT_THAT(selection.read.at("big"), ElementsAre(2, 3, 5));
  EXPECT_THAT(selection.dev, UnorderedElementsAre("big/a2", "big/a3")) << "what is held out is not dev either";
  study_.speech.train = {"small"};
  EXPECT_THAT(read("small"), ElementsAre(5)) << "a2 and a3 are dev in the other corpus";
}

TEST_F(SelectionTest, SpeakersCanBeHeldOut) {
  study_.speech.held_out = {};
  study_.speech.held_out_speakers = {"small/sid.test"};
  EXPECT_THAT(read("big"), ElementsAre(0, 2, 3, 5)) << "s1 speaks a1 and a4";
}

TEST_F(SelectionTest, EntriesThatNameNothingAreErrors) {
  study_.speech.train = {"bgi"};
  EXPECT_THAT(error(), HasSubstr("study.json /pretrain/speech/train: the study has no corpus \"bgi\", did you mean "
                                 "\"big\"? known: big, small"));
  study_.speech.train = {"big/sid.trian"};
  EXPECT_THAT(error(), HasSubstr("trian"));
  study_.speech.train = {"big/sid"};
  EXPECT_THAT(error(), HasSubstr("\"sid\" is no split"));
  study_.speech.train = {"big/sid.test"};
  EXPECT_THAT(error(),
              HasSubstr("/pretrain/speech/train: nothing is left to train on: 1 utterances are held out, 0 are dev"));
}

}  // namespace
}  // namespace strata

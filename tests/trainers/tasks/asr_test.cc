#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/testing.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/tasks/tasks.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<Json> kUtterances = {{{"id", "u1"}, {"text", "ab a"}}, {{"id", "u2"}, {"text", "bb"}},
                                       {{"id", "u3"}, {"text", "a"}},    {{"id", "u4"}, {"text", "ba"}},
                                       {{"id", "u5"}, {"text", "a xb"}}, {{"id", "u6"}, {"text", ""}}};
const std::map<std::string, std::vector<std::string>> kSplits = {
    {"asr.train", {"u1", "u2", "u3"}}, {"asr.dev", {"u4", "u5", "u6"}}, {"asr.test", {"u4"}}};

class AsrTest : public testing::Test {
 protected:
  std::unique_ptr<Task> make(const Json& options = Json::object()) {
    Json all = {{"type", "asr"}};
    all.update(options);
    corpora_.push_back(std::make_unique<Corpus>(make_corpus(fresh_folder(), kUtterances, kSplits)));
    return make_task(all, *corpora_.back());
  }
  std::string refusal(const std::vector<Json>& utterances, const Json& options = {{"type", "asr"}}) {
    return error_of<ConfigError>([&] { make_task(options, make_corpus(fresh_folder(), utterances, kSplits)); });
  }

 private:
  std::vector<std::unique_ptr<Corpus>> corpora_;
};

TEST_F(AsrTest, WritesInTheCharactersOfTraining) {
  const auto task = make();
  EXPECT_THAT(task->labels(), ElementsAre("<blank>", "<unk>", " ", "a", "b"));
  EXPECT_EQ(task->classes(), 5);
  EXPECT_EQ(task->output(), HeadOutput::kFrameLogits);
  EXPECT_EQ(task->default_head(), (Json{{"type", "linear_ctc"}}));
  EXPECT_THAT(task->ids("dev"), ElementsAre("u4", "u5", "u6"));
  EXPECT_EQ(task->metrics()[0].name, "cer");
  EXPECT_EQ(task->metrics()[1].name, "wer");
  EXPECT_FALSE(task->metrics()[0].higher_is_better);
}

TEST_F(AsrTest, PadsTargets) {
  const Targets targets = make()->targets(std::vector<std::string>{"u1", "u6", "u5"});
  expect_close(targets.labels, integers({3, 4, 2, 3, 0, 0, 0, 0, 3, 2, 1, 4}, {3, 4}));
  expect_close(targets.lengths, integers({4, 0, 4}));
}

TEST_F(AsrTest, MeasuresByHand) {
  const auto task = make();
  // u4 "ba":   b b _ a       -> "ba", nothing wrong
  // u5 "a xb": a ' ' _ b     -> "a b": x, that training never saw, is missing; one word of two is wrong
  // u6 "":     3 of 4 frames valid: _ a _ [b] -> "a": one character and one word too many
  const std::vector<std::string> ids = {"u4", "u5", "u6"};
  std::vector<Json> predictions;
  const auto measured = task->measure(ids, logits_of({4, 4, 0, 3, 3, 2, 0, 4, 0, 3, 0, 4}, 4, 5), integers({4, 4, 3}),
                                      task->targets(ids), &predictions);
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_EQ(measured[0].sum, 2) << "characters";
  EXPECT_EQ(measured[0].count, 6);
  EXPECT_EQ(measured[1].sum, 2) << "words";
  EXPECT_EQ(measured[1].count, 3);
  EXPECT_THAT(predictions, ElementsAre(Json{{"id", "u4"}, {"hypothesis", "ba"}, {"reference", "ba"}},
                                       Json{{"id", "u5"}, {"hypothesis", "a b"}, {"reference", "a xb"}},
                                       Json{{"id", "u6"}, {"hypothesis", "a"}, {"reference", ""}}));
}

TEST_F(AsrTest, NoHypothesisMatchesACharacterThatTrainingNeverSaw) {
  const auto task = make();
  const std::vector<std::string> ids = {"u5"};
  const auto measured = task->measure(ids, logits_of({3, 2, 1, 4}, 4, 5), integers({4}), task->targets(ids), nullptr);
  EXPECT_EQ(measured[0].sum, 1) << "the hypothesis is \"a <unk>b\"";
  EXPECT_EQ(measured[1].sum, 1);
}

TEST_F(AsrTest, LossByHand) {
  const auto task = make();
  const std::vector<std::string> ids = {"u3", "u2", "u6"};
  // Every symbol has the probability 1/5. "a" in two frames: a_, _a, aa; "bb" in three: b_b alone; "": blanks alone.
  const LossSum loss = task->loss(at::zeros({3, 3, 5}, at::kDouble), integers({2, 3, 1}), task->targets(ids));
  EXPECT_NEAR(loss.sum.item<double>(), -std::log(3.0 / 25) + -std::log(1.0 / 125) / 2 - std::log(1.0 / 5), 1e-12);
  EXPECT_EQ(loss.count, 3);
}

TEST_F(AsrTest, TooFewFramesCountAsNoLoss) {
  const auto task = make();
  EXPECT_EQ(task->frames_needed("u1"), 4);
  EXPECT_EQ(task->frames_needed("u2"), 3) << "a blank between two equal ones";
  EXPECT_EQ(task->frames_needed("u6"), 1);
  const LossSum loss =
      task->loss(at::zeros({1, 3, 5}, at::kDouble), integers({2}), task->targets(std::vector<std::string>{"u2"}));
  EXPECT_EQ(loss.sum.item<double>(), 0);
  EXPECT_EQ(loss.count, 1);
}

TEST_F(AsrTest, SuperbsRules) {
  const auto task = make({{"vocabulary", "superb"}});
  EXPECT_EQ(task->classes(), 32);
  EXPECT_EQ(task->metrics()[0].name, "wer");
  EXPECT_EQ(task->metrics()[1].name, "uer");
  // "A XB": A | X B | </s>; recognised A | B |.
  const std::vector<std::string> ids = {"u5"};
  expect_close(task->targets(ids).labels, integers({7, 4, 28, 24, 4, 2}, {1, 6}));
  std::vector<Json> predictions;
  const auto measured = task->measure(ids, logits_of({7, 4, 24, 4, 2}, 5, 32), integers({5}), {}, &predictions);
  EXPECT_EQ(measured[0].sum, 1) << "words";
  EXPECT_EQ(measured[0].count, 2);
  EXPECT_EQ(measured[1].sum, 1) << "units";
  EXPECT_EQ(measured[1].count, 5);
  EXPECT_EQ(predictions[0], (Json{{"id", "u5"}, {"hypothesis", "A B"}, {"reference", "A XB"}}));
}

TEST_F(AsrTest, ReadsTheFieldAndTheSplitsItIsTold) {
  std::vector<Json> utterances = kUtterances;
  for (Json& u : utterances) u["words"] = "z";
  const Corpus corpus =
      make_corpus(fresh_folder(), utterances, {{"read.train", {"u1"}}, {"read.dev", {"u2"}}, {"read.test", {"u3"}}});
  const auto task = make_task({{"type", "asr"}, {"field", "words"}, {"splits", "read"}}, corpus);
  EXPECT_THAT(task->labels(), ElementsAre("<blank>", "<unk>", "z"));
}

TEST_F(AsrTest, RefusesWhatItCannotUse) {
  std::vector<Json> without = kUtterances, number = kUtterances, silent = kUtterances;
  without[3].erase("text");
  EXPECT_THAT(refusal(without), HasSubstr("line 4"));
  number[2]["text"] = 7;
  EXPECT_THAT(refusal(number),
              HasSubstr("utterances.jsonl line 3: task asr needs \"text\" of \"u3\" to be a text, found 7"));
  silent[3]["text"] = " ";
  EXPECT_THAT(refusal(silent), HasSubstr("asr.test.txt: \"text\" is empty in every utterance"));
  EXPECT_EQ(refusal(kUtterances, {{"type", "asr"}, {"vocabulary", "letters"}}),
            "test /tasks/it/vocabulary: unknown value \"letters\"; known: train, superb");
  EXPECT_EQ(refusal(kUtterances, {{"type", "asr"}, {"feild", "text"}}),
            "test /tasks/it/feild: unknown key, did you mean \"field\"? \"asr\" takes field, splits, type, vocabulary");
  EXPECT_THAT(refusal(kUtterances, {{"type", "asr"}, {"splits", "pr"}}), HasSubstr("pr.train"));
}

}  // namespace
}  // namespace strata

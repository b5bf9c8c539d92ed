#include <gmock/gmock.h>

#include <cmath>

#include "tests/core/testing.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/tasks/small_corpus.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<Json> kUtterances = {
    {{"id", "u1"}, {"language", "yy"}}, {{"id", "u2"}, {"language", "xx"}}, {{"id", "u3"}, {"language", "yy"}}};
const std::map<std::string, std::vector<std::string>> kSplits = {
    {"lid.train", {"u1", "u2"}}, {"lid.dev", {"u3", "u1"}}, {"lid.test", {"u3"}}};

TEST(LidTest, FromLabelsToMetricByHand) {
  const Corpus corpus = make_corpus(fresh_folder(), kUtterances, kSplits);
  const auto task = make_task({{"type", "lid"}}, corpus);
  EXPECT_THAT(task->labels(), ElementsAre("xx", "yy"));
  EXPECT_THAT(task->ids("dev"), ElementsAre("u3", "u1"));
  EXPECT_EQ(task->output(), HeadOutput::kUtteranceLogits);
  EXPECT_EQ(task->metrics().front().name, "accuracy");

  const std::vector<std::string> ids = {"u1", "u2", "u3"};
  const Targets targets = task->targets(ids);
  expect_close(targets.labels, integers({1, 0, 1}));
  // The first is right with probability 3/4, the second undecided and first in order, the third wrong with 3/4.
  const at::Tensor logits = tensor({0, std::log(3.0), 0, 0, std::log(3.0), 0}, {3, 2});
  const LossSum loss = task->loss(logits, integers({1, 1, 1}), targets);
  EXPECT_NEAR(loss.sum.item<double>(), std::log(4.0 / 3) + std::log(2.0) + std::log(4.0), 1e-12);
  EXPECT_EQ(loss.count, 3);
  std::vector<Json> predictions;
  const auto measured = task->measure(ids, logits, integers({1, 1, 1}), targets, &predictions);
  EXPECT_EQ(measured.front().sum, 2);
  EXPECT_EQ(measured.front().count, 3);
  EXPECT_EQ(predictions[2], (Json{{"id", "u3"}, {"predicted", "xx"}, {"label", "yy"}}));
}

TEST(LidTest, RefusesWhatCannotBeLearnt) {
  const auto refusal = [](const std::vector<Json>& utterances) {
    return error_of<ConfigError>([&] {
      make_task({{"type", "lid"}}, make_corpus(fresh_folder(), utterances, kSplits));
    });
  };
  std::vector<Json> unseen = kUtterances, same = kUtterances, without = kUtterances;
  unseen[2]["language"] = "zz";
  EXPECT_THAT(refusal(unseen), HasSubstr("line 3: language \"zz\" of \"u3\" is in lid.dev but not in lid.train"));
  same[1]["language"] = "yy";
  EXPECT_THAT(refusal(same), HasSubstr("task lid needs two values of \"language\" at least"));
  without[1].erase("language");
  EXPECT_THAT(refusal(without), HasSubstr("line 2"));
}

}  // namespace
}  // namespace strata

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "tests/core/testing.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/tasks/tasks.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::map<std::string, std::vector<std::string>> kSplits = {
    {"pr.train", {"u1", "u2"}}, {"pr.dev", {"u3"}}, {"pr.test", {"u3"}}};

class PrTest : public testing::Test {
 protected:
  PrTest()
      : ipa_(make_corpus(fresh_folder(),
                         {{{"id", "u1"}, {"phones", "\u0281 a\u02D0  b"}},
                          {{"id", "u2"}, {"phones", "b b"}},
                          {{"id", "u3"}, {"phones", "a\u02D0 x b"}}},
                         kSplits)),
        english_(make_corpus(fresh_folder(),
                             {{{"id", "u1"}, {"phones", "AA1 B"}},
                              {{"id", "u2"}, {"phones", "B B"}},
                              {{"id", "u3"}, {"phones", "AA1 Q B"}}},
                             kSplits)) {}
  Corpus ipa_, english_;
};

TEST_F(PrTest, WritesInThePhonesOfTraining) {
  const auto task = make_task({{"type", "pr"}}, ipa_);
  EXPECT_THAT(task->labels(), ElementsAre("<blank>", "<unk>", "a\u02D0", "b", "\u0281"));
  EXPECT_EQ(task->default_head(), (Json{{"type", "linear_ctc"}}));
  EXPECT_EQ(task->metrics()[0].name, "per");
  EXPECT_FALSE(task->metrics()[0].higher_is_better);
  EXPECT_EQ(task->frames_needed("u2"), 3) << "a blank between two equal ones";
  const Targets targets = task->targets(std::vector<std::string>{"u1", "u3"});
  expect_close(targets.labels, integers({4, 2, 3, 2, 1, 3}, {2, 3}));
  expect_close(targets.lengths, integers({3, 3}));
}

TEST_F(PrTest, MeasuresByHand) {
  const auto task = make_task({{"type", "pr"}}, ipa_);
  // u1: the first phone is missing. u3: what training never saw is an error even where "<unk>" is recognised.
  const std::vector<std::string> ids = {"u1", "u3"};
  std::vector<Json> predictions;
  const auto measured =
      task->measure(ids, logits_of({2, 2, 0, 3, 2, 1, 3, 3}, 4, 5), integers({4, 4}), task->targets(ids), &predictions);
  ASSERT_EQ(measured.size(), 1u);
  EXPECT_EQ(measured[0].sum, 2);
  EXPECT_EQ(measured[0].count, 6);
  EXPECT_EQ(predictions[0], (Json{{"id", "u1"}, {"hypothesis", "a\u02D0 b"}, {"reference", "\u0281 a\u02D0 b"}}));
}

TEST_F(PrTest, SuperbsRules) {
  const auto task = make_task({{"type", "pr"}, {"vocabulary", "superb"}}, english_);
  EXPECT_EQ(task->classes(), 74);
  EXPECT_EQ(task->labels()[1], "<eos>");
  const std::int64_t aa1 = 6, b = 23;
  ASSERT_EQ(task->labels()[aa1], "AA1");
  ASSERT_EQ(task->labels()[b], "B");
  const std::vector<std::string> ids = {"u1"};
  expect_close(task->targets(ids).labels, integers({aa1, b, 1}, {1, 3}));
  const auto measured = task->measure(ids, logits_of({aa1, 0, b, 1}, 4, 74), integers({4}), {}, nullptr);
  EXPECT_EQ(measured[0].sum, 0) << "<eos> is no phone";
  EXPECT_EQ(measured[0].count, 2);
}

TEST_F(PrTest, SaysWhatIsMissing) {
  const Corpus without = make_corpus(fresh_folder(), {{{"id", "u1"}}, {{"id", "u2"}}, {{"id", "u3"}}}, kSplits);
  EXPECT_THAT(error_of<ConfigError>([&] { make_task({{"type", "pr"}}, without); }), HasSubstr("task pr"));
}

}  // namespace
}  // namespace strata

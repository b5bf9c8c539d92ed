#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/core/testing.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "trainers/tasks/task.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Four utterances: a (zoe), b (ann), c (zoe), d (17, a number).
class SidTest : public testing::Test {
 protected:
  SidTest() : folder_(fresh_folder()) {
    write("utterances.jsonl",
          "{\"id\": \"a\", \"audio\": \"x.wav\", \"speaker\": \"zoe\"}\n"
          "{\"id\": \"b\", \"audio\": \"x.wav\", \"speaker\": \"ann\"}\n"
          "{\"id\": \"c\", \"audio\": \"x.wav\", \"speaker\": \"zoe\"}\n"
          "{\"id\": \"d\", \"audio\": \"x.wav\", \"speaker\": 17}\n"
          "{\"id\": \"e\", \"audio\": \"x.wav\"}\n");
    write("sid.train.txt", "a\nb\nd\n");
    write("sid.dev.txt", "c\n");
    write("sid.test.txt", "b\n");
  }
  void write(const std::string& name, const std::string& content) const {
    write_file_atomically(folder_ / name, content);
  }

  std::unique_ptr<Task> make(const std::string& options = R"({"type": "sid"})") const {
    const Corpus corpus = Corpus::read(folder_, false);
    return make_variant<TaskRegistry, const Corpus&>(options, corpus);
  }
  std::string error(const std::string& options = R"({"type": "sid"})") const {
    return error_of<ConfigError>([&] { make(options); });
  }

  const fs::path folder_;
};

TEST_F(SidTest, NumbersTheSpeakersOfTrainInOrder) {
  const auto task = make();
  EXPECT_THAT(task->labels(), ElementsAre("17", "ann", "zoe"));
  EXPECT_EQ(task->classes(), 3);
  EXPECT_EQ(task->output(), HeadOutput::kUtteranceLogits);
  EXPECT_EQ(task->default_head(), (Json{{"type", "mean_pool_linear"}}));
  EXPECT_THAT(task->ids("train"), ElementsAre("a", "b", "d"));
  EXPECT_THAT(task->ids("test"), ElementsAre("b"));
  const std::vector<std::string> ids = {"c", "d", "b"};
  expect_close(task->targets(ids).labels, integers({2, 0, 1}));
  ASSERT_EQ(task->metrics().size(), 1u);
  EXPECT_EQ(task->metrics()[0].name, "accuracy");
  EXPECT_TRUE(task->metrics()[0].higher_is_better);
}

TEST_F(SidTest, SumsLossAndAccuracy) {
  const auto task = make();
  const std::vector<std::string> ids = {"a", "b", "d"};  // classes 2, 1, 0
  const Targets targets = task->targets(ids);
  const double ln2 = std::log(2.0), ln3 = std::log(3.0);
  // Probabilities (1/6, 1/3, 1/2), (1/3, 1/3, 1/3) and (1/6, 1/2, 1/3): right, right (no: the first of equals is 0),
  // wrong.
  const at::Tensor logits = tensor({0, ln2, ln3, 0, 0, 0, 0, ln3, ln2}, {3, 3});
  const LossSum loss = task->loss(logits, integers({1, 1, 1}), targets);
  EXPECT_NEAR(loss.sum.item<double>(), ln2 + ln3 + std::log(6.0), 1e-12);
  EXPECT_EQ(loss.count, 3);

  std::vector<Json> predictions;
  const auto metrics = task->measure(ids, logits, integers({1, 1, 1}), targets, &predictions);
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0].sum, 1);
  EXPECT_EQ(metrics[0].count, 3);
  EXPECT_THAT(predictions, ElementsAre(Json{{"id", "a"}, {"predicted", "zoe"}, {"label", "zoe"}},
                                       Json{{"id", "b"}, {"predicted", "17"}, {"label", "ann"}},
                                       Json{{"id", "d"}, {"predicted", "ann"}, {"label", "17"}}));
  EXPECT_EQ(task->measure(ids, logits, integers({1, 1, 1}), targets, nullptr)[0].sum, 1);
}

TEST_F(SidTest, TakesTheSplitsOfAnotherName) {
  write("mine.train.txt", "a\nb\n");
  write("mine.dev.txt", "b\n");
  write("mine.test.txt", "c\n");
  EXPECT_THAT(make(R"({"type": "sid", "splits": "mine"})")->ids("train"), ElementsAre("a", "b"));
}

TEST_F(SidTest, NamesWhatIsWrong) {
  EXPECT_EQ(error(R"({"type": "sid", "split": "mine"})"),
            "test /part/split: unknown key, did you mean \"splits\"? \"sid\" takes splits, type");
  EXPECT_THAT(error(R"({"type": "sid", "splits": "mine"})"), HasSubstr("mine.train"));
  write("sid.test.txt", "b\ne\n");
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("utterances.jsonl line 5"), HasSubstr("speaker"), HasSubstr("\"e\""),
                                      HasSubstr("task sid")));
  write("sid.test.txt", "b\n");
  write("sid.train.txt", "a\nb\n");
  write("sid.dev.txt", "c\nd\n");
  EXPECT_THAT(
      error(),
      HasSubstr(
          "utterances.jsonl line 4: speaker \"17\" of \"d\" is in sid.dev but not in sid.train: it cannot be learnt"));
  write("sid.train.txt", "a\nc\n");
  write("sid.dev.txt", "a\n");
  write("sid.test.txt", "a\n");
  EXPECT_EQ(error(), folder_.string() + ": task sid needs two values of \"speaker\" at least, sid.train has one");
}

}  // namespace
}  // namespace strata

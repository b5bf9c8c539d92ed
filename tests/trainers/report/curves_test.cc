#include "trainers/report/curves.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/safetensors.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/report/small_study.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(StillImproving, BestIsLast) {
  EXPECT_TRUE(still_improving({1, 2, 3}, true));
  EXPECT_FALSE(still_improving({1, 3, 2}, true));
  EXPECT_FALSE(still_improving({1, 2, 2}, true)) << "the second 2 brings nothing";
  EXPECT_TRUE(still_improving({3, 2, 1}, false));
  EXPECT_FALSE(still_improving({1}, true)) << "one evaluation tells nothing";
  EXPECT_FALSE(still_improving({}, true));
}

TEST(StillImproving, LastQuarterAgainstItsNoise) {
  // Last half 10, 11, 13, 12: differences 1, 2, -1, mean 2/3, squares 1/9 + 16/9 + 25/9 = 42/9, over 2: 7/3; s =
  // sqrt(7/6) = 1.08. Gain 12.5 - 10.5 = 2 against 2 s sqrt(2/2) = 2.16.
  EXPECT_FALSE(still_improving({1, 4, 7, 9, 10, 11, 13, 12}, true));
  // 10, 11.5, 13, 12.9: differences 1.5, 1.5, -0.1, mean 2.9/3; s = sqrt(0.8533 / 2) = 0.653; gain 2.2 against 1.31.
  EXPECT_TRUE(still_improving({1, 4, 7, 9, 10, 11.5, 13, 12.9}, true));
  EXPECT_FALSE(still_improving({5, 5, 5, 5, 5, 5, 5, 5}, true));
}

TEST(StillImproving, ValuesThatAreNotNumbers) {
  EXPECT_FALSE(still_improving({1, 2, NAN}, true));
  EXPECT_TRUE(still_improving({NAN, 1, 2}, true));
}

TEST(Curves, MeanAtSharedSteps) {
  const Curve mean = mean_curve({{{10, 20, 30}, {1, 2, 3}, {4, 3, 2}}, {{10, 20}, {3, 5}, {2, 2}}});
  EXPECT_THAT(mean.steps, ElementsAre(10, 20));
  EXPECT_THAT(mean.dev, ElementsAre(2, 3.5));
  EXPECT_THAT(mean.train_loss, ElementsAre(3, 2.5));
  EXPECT_THAT(mean_curve({}).steps, SizeIs(0));
}

TEST(Curves, ReadFromTheTrialsFolder) {
  TrialResult trial = SmallTrial{}.done(0.5, 0.5);
  trial.output = fresh_folder();
  const fs::path path = trial.output / "trials" / trial.id / "metrics.jsonl";
  write_file_atomically(path, R"({"step":50,"dev":{"accuracy":0.25},"train_loss":null})"
                              "\n"
                              R"({"step":100,"dev":{"accuracy":0.5},"train_loss":1.5})"
                              "\n");
  const Curve curve = read_curve(trial, {});
  EXPECT_THAT(curve.steps, ElementsAre(50, 100));
  EXPECT_THAT(curve.dev, ElementsAre(0.25, 0.5));
  EXPECT_TRUE(std::isnan(curve.train_loss[0]));
  write_file_atomically(path, "{\"step\":50}\n");
  EXPECT_THAT(error_of<DataError>([&] { read_curve(trial, {}); }),
              HasSubstr("metrics.jsonl line 1: not a valid evaluation"));
}

TEST(Curves, ReadFromTheCheckpointOfARunningTrial) {
  TrialResult trial = SmallTrial{}.waiting();
  trial.status = "running";
  trial.output = fresh_folder();
  const Json state = {{"trial", trial.id},
                      {"step", 70},
                      {"history", {{{"step", 50}, {"dev", {{"accuracy", 0.25}}}, {"train_loss", 2.0}}}}};
  write_safetensors(trial.output / "banks/a/checkpoint.safetensors", {{"parameters", at::zeros({2})}},
                    {{"state", state.dump()}});
  write_file_atomically(trial.output / "banks/b/checkpoint.safetensors", "torn");
  const auto running = running_states(trial.output);
  ASSERT_THAT(running, SizeIs(1));
  EXPECT_EQ(running.at(trial.id)["step"], 70);
  EXPECT_THAT(read_curve(trial, running).dev, ElementsAre(0.25));
  EXPECT_THAT(running_states(trial.output / "nowhere"), SizeIs(0));
}

}  // namespace
}  // namespace strata

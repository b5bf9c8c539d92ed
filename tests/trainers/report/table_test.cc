#include "trainers/report/table.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/trainers/report/small_study.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Table, MeanAndSpread) {
  EXPECT_DOUBLE_EQ(mean_of({0.90, 0.92, 0.97}), 0.93);
  // Deviations -0.03, -0.01, 0.04: squares 0.0009 + 0.0001 + 0.0016 = 0.0026, over 2.
  EXPECT_NEAR(spread_of({0.90, 0.92, 0.97}), std::sqrt(0.0013), 1e-15);
  EXPECT_EQ(spread_of({0.5}), 0);
}

TEST(Table, TakesTheLearningRateThatIsBestOnDev) {
  StudyResults results;
  for (const auto& [rate, dev, test] : {std::tuple{1e-4, 0.50, 0.99}, {1e-3, 0.80, 0.70}, {1e-2, 0.60, 0.95}}) {
    results.trials.push_back(SmallTrial{.learning_rate = rate, .seed = 0}.done(dev, test));
    results.trials.push_back(SmallTrial{.learning_rate = rate, .seed = 1}.done(dev, test + 0.02));
  }
  const ResultTable table = make_table(results);
  ASSERT_EQ(table.rows.size(), 1U);
  EXPECT_EQ(table.rows[0].name(), "hubert | weighted_sum");
  const TableCell& cell = table.cells[0][0];
  EXPECT_EQ(cell.learning_rate, 1e-3);
  EXPECT_NEAR(cell.mean, 0.71, 1e-12);
  EXPECT_NEAR(cell.spread, std::sqrt(0.0002), 1e-12);
  EXPECT_EQ(cell.seeds, 2);
  EXPECT_EQ(cell.edge, "");
  EXPECT_FALSE(cell.best) << "there is nothing to be better than";
  EXPECT_EQ(value_text(cell, table.columns[0].metric), "71.00 ± 1.41");
  EXPECT_THAT(table_warnings(results, table), IsEmpty());
}

TEST(Table, ErrorRatesFall) {
  StudyResults results;
  for (const auto& [rate, dev] : {std::pair{1e-4, 0.2}, {1e-3, 0.4}}) {
    TrialResult trial = SmallTrial{.learning_rate = rate}.done(dev, dev);
    trial.metric.higher_is_better = false;
    results.trials.push_back(trial);
  }
  const ResultTable table = make_table(results);
  EXPECT_EQ(table.cells[0][0].learning_rate, 1e-4);
  EXPECT_EQ(table.cells[0][0].edge, "lowest");
  EXPECT_THAT(
      table_warnings(results, table),
      ElementsAre(
          "hubert | weighted_sum, sid: the best learning rate, 0.0001, is the lowest of its grid: try lower ones"));
}

TEST(Table, NotANumberIsNeverBest) {
  StudyResults results;
  results.trials.push_back(SmallTrial{.learning_rate = 1e-3}.done(0.3, 0.3));
  results.trials.push_back(SmallTrial{.learning_rate = 1e-2}.done(std::numeric_limits<double>::quiet_NaN(), 0.9));
  EXPECT_EQ(make_table(results).cells[0][0].learning_rate, 1e-3);
}

TEST(Table, RunningStudy) {
  StudyResults results;
  results.trials.push_back(SmallTrial{.learning_rate = 1e-3}.done(0.5, 0.5));
  results.trials.push_back(SmallTrial{.learning_rate = 1e-2}.waiting());
  results.trials.push_back(SmallTrial{.upstream = "fbank"}.waiting());
  results.trials.back().status = "running";
  TrialResult failed = SmallTrial{.upstream = "mfcc"}.waiting();
  failed.status = "failed";
  failed.reason = "diverged";
  results.trials.push_back(failed);
  const ResultTable table = make_table(results);
  EXPECT_EQ(value_text(table.cells[0][0], table.columns[0].metric), "50.00");
  EXPECT_EQ(table.cells[0][0].unfinished, 1);
  EXPECT_EQ(table.cells[0][0].edge, "lowest");
  EXPECT_EQ(value_text(table.cells[1][0], table.columns[0].metric), "–");
  EXPECT_EQ(table.cells[1][0].shown.size(), 1U) << "curves of running trials are shown until one is done";
  EXPECT_THAT(table_warnings(results, table),
              ElementsAre(HasSubstr("lowest"),
                          "hubert | weighted_sum, sid: 1 of 2 trials are not done, so the number may change",
                          HasSubstr("diverged")));
  EXPECT_EQ(progress_text(results), "1 of 4 trials are done, 1 running, 1 waiting, 1 failed.");
}

TEST(Table, RowsAndColumns) {
  StudyResults results;
  results.trials.push_back(SmallTrial{.task = "sid"}.done(0.5, 0.5));
  results.trials.push_back(SmallTrial{.task = "lid"}.done(0.5, 0.6));
  results.trials.push_back(
      SmallTrial{.interface = {{"type", "hconv"}, {"stride", 3}, {"normalize", false}, {"taps", Json::array()}}}.done(
          0.5, 0.7));
  const ResultTable table = make_table(results);
  ASSERT_EQ(table.columns.size(), 2U);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.rows[1].interface, "hconv (stride=3)");
  EXPECT_TRUE(table.cells[1][0].best);
  EXPECT_FALSE(table.cells[0][0].best);
  EXPECT_EQ(table.cells[1][1].trials, 0);
}

TEST(Table, OtherDifferencesMakeRowsOfTheirOwn) {
  StudyResults results;
  for (const int steps : {100, 200}) {
    TrialResult trial = SmallTrial{}.done(0.5, 0.5);
    trial.config["steps"] = steps;
    results.trials.push_back(trial);
  }
  const ResultTable table = make_table(results);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.rows[0].interface, "weighted_sum | steps=100");
  EXPECT_EQ(table.rows[1].interface, "weighted_sum | steps=200");
}

}  // namespace
}  // namespace strata

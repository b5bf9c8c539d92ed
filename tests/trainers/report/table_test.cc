#include "trainers/report/table.h"

#include <gmock/gmock.h>

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Scores {
  double dev, test;
};

TrialResult trial(double learning_rate, int seed, const Json& changes = Json::object()) {
  TrialResult made{"t",
                   "waiting",
                   {{"interface", {{"type", "weighted_sum"}, {"normalize", false}, {"taps", Json::array()}}},
                    {"fusion", {{"type", "none"}}},
                    {"optimizer", {{"type", "adam"}, {"learning_rate", learning_rate}}},
                    {"steps", 10},
                    {"seed", seed}},
                   {{"task", "sid"}, {"upstreams", {"hubert"}}},
                   Json(),
                   ""};
  made.config.merge_patch(changes);
  return made;
}

TrialResult done(double learning_rate, int seed, Scores scores, const Json& changes = Json::object(),
                 const char* metric = "accuracy") {
  TrialResult made = trial(learning_rate, seed, changes);
  made.status = "done";
  made.done = {{"best", {{"step", 5}, {"dev", {{metric, scores.dev}, {"loss", 9}}}}},
               {"test", {{metric, scores.test}, {"loss", 9}}},
               {"parameters", 1},
               {"seconds", 1}};
  return made;
}

StudyResults results_of(std::vector<TrialResult> trials) {
  StudyResults results;
  results.name = "quick";
  results.trials = std::move(trials);
  return results;
}

TEST(Table, TakesTheLearningRateThatIsBestOnDevOverSeeds) {
  // On dev 1e-3 has the mean 0.65, 1e-2 has 0.6 though its best seed is the best of all, and though it is better on
  // test.
  const ResultTable table =
      make_table(results_of({done(1e-4, 0, {0.1, 0.9}), done(1e-3, 0, {0.6, 0.50}), done(1e-3, 1, {0.7, 0.56}),
                             done(1e-2, 0, {0.9, 0.8}), done(1e-2, 1, {0.3, 0.8})}));
  EXPECT_THAT(table.rows, ElementsAre("hubert | weighted_sum"));
  EXPECT_THAT(table.tasks, ElementsAre("sid"));
  const TableCell& cell = table.cells.at({"hubert | weighted_sum", "sid"});
  EXPECT_EQ(cell.metric, "accuracy");
  EXPECT_EQ(cell.learning_rate, 1e-3);
  EXPECT_FALSE(cell.at_edge);
  EXPECT_NEAR(cell.mean, 0.53, 1e-12);
  EXPECT_NEAR(cell.spread, 0.03 * std::sqrt(2.0), 1e-12);  // sqrt((0.03^2 + 0.03^2) / 1)
  EXPECT_EQ(cell.seeds, 2);
  EXPECT_EQ(cell.unfinished, 0);
}

TEST(Table, TakesTheLowestOfAnErrorRate) {
  const ResultTable table =
      make_table(results_of({done(1e-4, 0, {0.2, 0.3}, Json::object(), "wer"), done(1e-3, 0, {0.1, 0.4}, Json::object(), "wer"),
                             done(1e-2, 0, {0.3, 0.1}, Json::object(), "wer")}));
  const TableCell& cell = table.cells.begin()->second;
  EXPECT_EQ(cell.metric, "wer");
  EXPECT_EQ(cell.learning_rate, 1e-3);
  EXPECT_EQ(cell.mean, 0.4);
  EXPECT_EQ(cell.spread, 0);
}

TEST(Table, WarnsAtTheEdgeOfTheGrid) {
  const auto edge = [](std::vector<TrialResult> trials) {
    return make_table(results_of(std::move(trials))).cells.begin()->second.at_edge;
  };
  EXPECT_TRUE(edge({done(1e-3, 0, {0.9, 0.9}), done(1e-2, 0, {0.1, 0.1})}));
  EXPECT_TRUE(edge({done(1e-3, 0, {0.1, 0.1}), done(1e-2, 0, {0.9, 0.9})}));
  EXPECT_FALSE(edge({done(1e-3, 0, {0.9, 0.9})})) << "a grid of one has no edge";
  EXPECT_FALSE(edge({trial(1e-4, 0), done(1e-3, 0, {0.9, 0.9}), done(1e-2, 0, {0.1, 0.1})}))
      << "what is not done was tried too";
}

TEST(Table, PutsOtherSettingsIntoOtherRows) {
  const ResultTable table =
      make_table(results_of({done(1e-3, 0, {0.1, 0.1}), done(1e-3, 0, {0.2, 0.2}, {{"steps", 20}}),
                             done(1e-3, 0, {0.3, 0.3}, {{"interface", {{"normalize", true}}}})}));
  EXPECT_THAT(table.rows, ElementsAre("hubert | weighted_sum | setting 1", "hubert | weighted_sum | setting 2",
                                      "hubert | weighted_sum (normalize=true)"));
  EXPECT_EQ(table.cells.at({table.rows[1], "sid"}).mean, 0.2);
}

TEST(Report, ShowsTableWarningsAndWhatIsMissing) {
  StudyResults results =
      results_of({done(1e-3, 0, {0.6, 0.5}), done(1e-3, 1, {0.6, 0.52}), done(1e-2, 0, {0.1, 0.1}), trial(1e-2, 1)});
  results.trials.push_back(trial(1e-3, 0, {{"interface", {{"type", "hconv"}}}}));
  results.trials.back().status = "failed";
  results.trials.back().reason = "diverged";
  results.not_applicable = {{"hconv on fbank", "one layer"}};
  EXPECT_EQ(markdown_report(results),
            "# quick\n\n"
            "| upstream | interface | sid accuracy % ↑ |\n"
            "| --- | --- | --- |\n"
            "| hubert | weighted_sum | 51.00 ± 1.41 (lr 0.001 !) |\n"
            "| hubert | hconv | – |\n"
            "\nTest results at the learning rate that is best on dev; mean ± standard deviation over seeds where there "
            "are several.\n"
            "\n`!` marks a best learning rate at the edge of its grid:\n\n"
            "- hubert | weighted_sum, sid: learning rate 0.001 is the best and the last of its grid; try further out.\n"
            "\n2 of 5 trials are not done.\n"
            "\n- trial t failed: diverged\n"
            "\n- not applicable: hconv on fbank: one layer\n");
}

TEST(Report, ShowsALossAsItIs) {
  const std::string report = markdown_report(results_of({done(1e-3, 0, {0.6, 0.5}, Json::object(), "loss")}));
  EXPECT_THAT(report, HasSubstr("| sid loss ↓ |"));
  EXPECT_THAT(report, Not(HasSubstr("900.00")));
}

}  // namespace
}  // namespace strata

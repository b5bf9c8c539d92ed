#include "trainers/report/results.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "tests/trainers/report/small_study.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// An output as a sweep leaves it.
void write_output(const fs::path& output, const std::vector<TrialResult>& trials, const Json& more = Json::object()) {
  Json record = {{"name", "small"}, {"trials", Json::array()}, {"not_applicable", Json::array()}};
  std::string journal;
  for (const TrialResult& trial : trials) {
    record["trials"].push_back({{"id", trial.id}, {"names", trial.names}, {"config", trial.config}});
    if (trial.status != "waiting")
      journal += Json{{"event", "trial_started"}, {"trial", trial.id}, {"time", 1.0}}.dump() + "\n";
    if (trial.status == "failed")
      journal += Json{{"event", "trial_failed"}, {"trial", trial.id}, {"reason", trial.reason}}.dump() + "\n";
    if (!trial.done.is_null()) journal += trial.done.dump() + "\n";
  }
  record.update(more);
  write_file_atomically(output / "study.json", record.dump());
  write_file_atomically(output / "journal.jsonl", journal);
}

std::vector<TrialResult> one_of_each() {
  std::vector<TrialResult> trials = {SmallTrial{.seed = 0}.done(0.5, 0.6), SmallTrial{.seed = 1}.waiting(),
                                     SmallTrial{.seed = 2}.waiting(), SmallTrial{.seed = 3}.waiting()};
  trials[1].status = "running";
  trials[2].status = "failed";
  trials[2].reason = "diverged";
  return trials;
}

TEST(Results, Load) {
  const fs::path output = fresh_folder();
  const Json more = {{"tasks", {{"sid", {{"metrics", {{{"name", "f1"}, {"higher_is_better", true}, {"unit", ""}}}}}}}},
                     {"layers", {{"hubert", {"h0", "h1"}}}}};
  write_output(output, one_of_each(), more);
  const StudyResults results = load_results(output);
  EXPECT_EQ(results.name, "small");
  std::vector<std::string> statuses;
  for (const TrialResult& trial : results.trials) statuses.push_back(trial.status);
  EXPECT_THAT(statuses, ElementsAre("done", "running", "failed", "waiting"));
  EXPECT_EQ(results.trials[2].reason, "diverged");
  EXPECT_EQ(results.trials[0].metric.title(), "f1 ↑");
  EXPECT_THAT(results.trials[0].layers, ElementsAre(ElementsAre("h0", "h1")));
}

TEST(Results, LoadsRecordsWithoutMetrics) {
  const fs::path output = fresh_folder();
  write_output(output, one_of_each());
  const StudyResults results = load_results(output);
  EXPECT_EQ(results.trials[0].metric.title(), "accuracy % ↑");
  EXPECT_THAT(results.trials[0].layers, ElementsAre(testing::IsEmpty()));
}

TEST(Results, Errors) {
  const fs::path output = fresh_folder();
  EXPECT_THAT(error_of<ConfigError>([&] { load_results(output); }), HasSubstr("there is no study.json here"));
  write_file_atomically(output / "study.json", "{\"name\": \"x\"}");
  EXPECT_THAT(error_of<DataError>([&] { load_results(output); }),
              HasSubstr("study.json: not a valid record of a study"));
}

StudyResults part(const std::string& name, std::vector<TrialResult> trials) {
  StudyResults results;
  results.name = name;
  results.outputs = {"runs/" + name};
  results.trials = std::move(trials);
  return results;
}

TEST(Merge, TakesATrialOnceAndTheFinishedOne) {
  const StudyResults all =
      merge_results({part("a", {SmallTrial{.seed = 0}.waiting(), SmallTrial{.seed = 1}.done(0.1, 0.2)}),
                     part("b", {SmallTrial{.seed = 0}.done(0.3, 0.4), SmallTrial{.seed = 1}.waiting(),
                                SmallTrial{.seed = 2}.waiting()})});
  EXPECT_EQ(all.name, "a, b");
  ASSERT_EQ(all.trials.size(), 3U);
  EXPECT_EQ(all.trials[0].done["test"]["accuracy"], 0.4);
  EXPECT_EQ(all.trials[1].done["test"]["accuracy"], 0.2);
  EXPECT_EQ(all.trials[0].task(), "sid") << "the same task in both";
}

TEST(Merge, NamesThatClashGetTheStudysName) {
  TrialResult other = SmallTrial{.seed = 1}.waiting();
  other.config["upstreams"][0]["fingerprint"] = "of another hubert";
  const StudyResults all = merge_results({part("a", {SmallTrial{}.waiting()}), part("b", {other})});
  EXPECT_EQ(all.trials[0].upstreams(), "a/hubert");
  EXPECT_EQ(all.trials[1].upstreams(), "b/hubert");
  EXPECT_EQ(all.trials[1].task(), "sid");
}

TEST(Merge, StudiesOfOneNameAreToldApartByOutput) {
  TrialResult other = SmallTrial{.seed = 1}.waiting();
  other.config["task"]["hashes"] = "other splits";
  StudyResults second = part("a", {other});
  second.outputs = {"runs/second"};
  const StudyResults all = merge_results({part("a", {SmallTrial{}.waiting()}), second});
  EXPECT_EQ(all.name, "a");
  EXPECT_EQ(all.trials[0].task(), "runs/a/sid");
  EXPECT_EQ(all.trials[1].task(), "runs/second/sid");
}

TEST(Results, CsvQuotes) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b \"c\""), "\"a,b \"\"c\"\"\"");
}

}  // namespace
}  // namespace strata

#include "trainers/report/status.h"

#include <gmock/gmock.h>

#include "core/base/file.h"
#include "tests/folder.h"
#include "tests/trainers/report/small_study.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

using testing::HasSubstr;

Json event(const char* kind, const std::string& trial, double time) {
  return {{"event", kind}, {"trial", trial}, {"time", time}};
}

TEST(Status, RateCountsNeitherPausesNorOverlaps) {
  // Two side by side from 0 to 20, a pause, one that was stopped at 100 and started again: 120 to 130. Three in 30
  // seconds.
  const std::vector<Json> journal = {event("trial_started", "a", 0),  event("trial_started", "b", 5),
                                     event("trial_done", "a", 10),    event("trial_done", "b", 20),
                                     event("trial_started", "c", 90), event("trial_started", "c", 120),
                                     event("trial_done", "c", 130)};
  EXPECT_DOUBLE_EQ(trials_per_second(journal).value(), 0.1);
  EXPECT_FALSE(trials_per_second({event("trial_started", "a", 0)}).has_value());
  EXPECT_FALSE(trials_per_second({}).has_value());
}

TEST(Status, Durations) {
  EXPECT_EQ(duration_text(41.6), "42 s");
  EXPECT_EQ(duration_text(200), "3 min 20 s");
  EXPECT_EQ(duration_text(7500), "2 h 5 min");
  EXPECT_EQ(duration_text(273700), "3 d 4 h");
}

TEST(Status, OfAnOutput) {
  const fs::path output = fresh_folder();
  Json record = {{"name", "small"}, {"trials", Json::array()}, {"not_applicable", Json::array()}};
  std::vector<TrialResult> trials;
  for (int seed = 0; seed < 4; ++seed) {
    trials.push_back(SmallTrial{.seed = seed}.waiting());
    record["trials"].push_back(
        {{"id", trials.back().id}, {"names", trials.back().names}, {"config", trials.back().config}});
  }
  write_file_atomically(output / "study.json", record.dump());
  Json done = SmallTrial{.seed = 0}.done(0.5, 0.5).done;
  done["time"] = 30.0;
  write_file_atomically(output / "journal.jsonl", event("trial_started", trials[0].id, 0).dump() + "\n" + done.dump() +
                                                      "\n" + event("trial_started", trials[1].id, 30).dump() + "\n");

  StudyStatus status = read_status(output);
  EXPECT_EQ(status.done, 1);
  EXPECT_EQ(status.waiting, 2);
  ASSERT_EQ(status.running.size(), 1U);
  EXPECT_EQ(status.running[0].step, 0);
  EXPECT_EQ(status.running[0].steps, 100);
  EXPECT_DOUBLE_EQ(status.seconds_left.value(), 90);
  EXPECT_THAT(status_text(status), HasSubstr("small: 4 trials: 1 done, 1 interrupted, 2 waiting, 0 failed\n"));
  EXPECT_THAT(status_text(status), HasSubstr("step 0 of 100: sid | hubert | weighted_sum | lr 0.001 | seed 1\n"));
  EXPECT_THAT(status_text(status), HasSubstr("rate: 2 trials a minute\nnobody works on it; run `strata sweep` again to "
                                             "continue, about 1 min 30 s left\n"));

  const Owner owner(output, "strata sweep");
  status = read_status(output);
  EXPECT_THAT(status_text(status), HasSubstr("1 done, 1 running, 2 waiting"));
  EXPECT_THAT(status_text(status), HasSubstr("strata sweep works on it (process "));
}

}  // namespace
}  // namespace strata

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "trainers/report/results.h"

namespace strata {

/// A trial that was started and has not ended.
struct RunningTrial {
  std::string id;
  std::string description;
  std::int64_t step = 0;  // of its last checkpoint; 0 before the first
  std::int64_t steps = 0;
  std::string last_dev;  // "dev accuracy 54.28 %" at the last evaluation, "" before the first
};

/// What a running or stopped study has done, is doing and has left.
struct StudyStatus {
  std::string name;
  std::int64_t trials = 0, done = 0, failed = 0, waiting = 0;
  std::vector<RunningTrial> running;        // interrupted ones, if nobody works here
  Json owner;                               // record of the live job; null if there is none
  std::optional<double> trials_per_second;  // while it worked; none before the first trial is done
  std::optional<double> seconds_left;       // at that rate; none if nothing is left
};

/// Reads study.json, the journal and the checkpoints of OUTPUT; changes nothing. Throws as load_results.
StudyStatus read_status(const std::filesystem::path& output);

/// Some lines for people.
std::string status_text(const StudyStatus& status);

/// Trials a second, from the times of a journal: trials done over the length of the union of their times from (last)
/// start to end, so that pauses between runs do not count and trials side by side do. None if no trial is done.
std::optional<double> trials_per_second(const std::vector<Json>& journal);

/// "42 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
std::string duration_text(double seconds);

}  // namespace strata

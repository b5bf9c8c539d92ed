#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// One trial of a study as its output knows it, running studies included.
struct TrialResult {
  std::string id;
  std::string status;  // "done", "failed", "running", "waiting"
  Json config;
  Json names;
  Json done;           // the trial_done event: best, test, parameters, seconds; null if it is not done
  std::string reason;  // of a failure

  std::string task() const { return names.at("task"); }
  /// "hubert" or "hubert+wavlm".
  std::string upstreams() const;
};

/// A study's output, read from study.json and the journal alone.
struct StudyResults {
  std::filesystem::path output;
  std::string name;
  std::vector<TrialResult> trials;  // in the order of the study
  std::vector<std::pair<std::string, std::string>> not_applicable;
};

/// Throws ConfigError if there is no study.json, DataError if a record is broken.
StudyResults load_results(const std::filesystem::path& output);

/// One row a trial: id, status, every resolved key of its configuration a column, then best step, dev and test metrics,
/// parameters, seconds. RFC 4180.
std::string results_csv(const StudyResults& results);

}  // namespace strata

#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// The number a task is judged by, as results show it.
struct ResultMetric {
  std::string name = "loss";
  bool higher_is_better = false;
  bool percent = false;  // shown times 100

  double scale() const { return percent ? 100.0 : 1.0; }
  /// "accuracy % ↑": name, unit, which way is better.
  std::string title() const;
};

/// One trial of a study as its output knows it, running studies included.
struct TrialResult {
  std::string id;
  std::string status;  // "done", "failed", "running", "waiting"
  Json config;
  Json names;
  Json done;                     // the trial_done event: best, test, parameters, seconds; null if it is not done
  std::string reason;            // of a failure
  std::filesystem::path output;  // the study's, where trials/<id> lies
  ResultMetric metric;
  /// Per upstream, the names of the layers that its interface sees; empty where the record does not say.
  std::vector<std::vector<std::string>> layers;

  std::string task() const { return names.at("task"); }
  /// "hubert" or "hubert+wavlm".
  std::string upstreams() const;
};

/// A study's output, read from study.json and the journal alone; or several put together.
struct StudyResults {
  std::string name;
  std::vector<std::filesystem::path> outputs;
  std::vector<TrialResult> trials;  // in the order of the study
  std::vector<std::pair<std::string, std::string>> not_applicable;
  Json provenance = Json::object();  // of the last run
};

/// Throws ConfigError if there is no study.json, DataError if a record is broken.
StudyResults load_results(const std::filesystem::path& output);

/// All trials of several outputs. A trial that several have is taken once, from one that has finished it if there is
/// one. Where one name means different tasks or upstreams, the study's name (of studies of one name, the output) is put
/// before it.
StudyResults merge_results(std::vector<StudyResults> parts);

/// Every leaf of an object by its path below `prefix`, "optimizer.learning_rate" -> 0.001, added to `leaves`.
void flatten(const std::string& prefix, const Json& value, std::map<std::string, Json>& leaves);

/// What a finished trial came to: dev.* and test.* metrics, best_step, parameters, seconds; empty if it is not done.
std::map<std::string, Json> numbers_of(const TrialResult& trial);

/// The value of a metric; JSON has no NaN, it is written as null.
double number_or_nan(const Json& value);

/// One row a trial: id, status, every resolved key of its configuration a column, then best step, dev and test metrics,
/// parameters, seconds. RFC 4180.
std::string results_csv(const StudyResults& results);

/// A field of a CSV file, quoted where it must be.
std::string csv_field(const std::string& text);

}  // namespace strata

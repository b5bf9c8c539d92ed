#include "trainers/report/results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "trainers/state/study_record.h"

namespace strata {
namespace {

std::string cell(const Json& value) {
  const std::string text = value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

/// "interface.type" -> value, for every leaf but the hashes that only identify.
void flatten(const std::string& prefix, const Json& value, std::map<std::string, Json>& out) {
  if (!value.is_object()) {
    out[prefix] = value;
    return;
  }
  for (const auto& [key, item] : value.items()) flatten(prefix.empty() ? key : prefix + "." + key, item, out);
}

std::map<std::string, Json> columns_of(const TrialResult& trial) {
  std::map<std::string, Json> columns;
  for (const auto& [key, value] : trial.config.items()) {
    if (key != "task" && key != "upstreams" && key != "semantics") flatten(key, value, columns);
  }
  return columns;
}

std::map<std::string, Json> metrics_of(const TrialResult& trial) {
  std::map<std::string, Json> metrics;
  if (trial.done.is_null()) return metrics;
  flatten("dev", trial.done.at("best").at("dev"), metrics);
  flatten("test", trial.done.at("test"), metrics);
  metrics["best_step"] = trial.done.at("best").at("step");
  metrics["parameters"] = trial.done.at("parameters");
  metrics["seconds"] = trial.done.at("seconds");
  return metrics;
}

}  // namespace

std::string TrialResult::upstreams() const { return fmt::format("{}", fmt::join(names.at("upstreams").get<std::vector<std::string>>(), "+")); }

StudyResults load_results(const fs::path& output) {
  const fs::path path = output / "study.json";
  if (!fs::exists(path)) throw ConfigError(fmt::format("{}: there is no study.json here: this is no output of `strata sweep`", output.string()));
  const StudyState state = replay_state(output);
  StudyResults results;
  try {
    const Json record = read_json(path);
    results.output = output;
    results.name = record.at("name");
    for (const Json& trial : record.at("trials")) {
      TrialResult result{trial.at("id"), "waiting", trial.at("config"), trial.at("names"), Json(), ""};
      if (const auto done = state.done.find(result.id); done != state.done.end()) {
        result.status = "done";
        result.done = done->second;
      } else if (const auto failed = state.failed.find(result.id); failed != state.failed.end()) {
        result.status = "failed";
        result.reason = failed->second;
      } else if (state.started.contains(result.id)) {
        result.status = "running";
      }
      results.trials.push_back(std::move(result));
    }
    for (const Json& n : record.at("not_applicable")) results.not_applicable.emplace_back(n.at("combination"), n.at("reason"));
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid record of a study: {}", path.string(), e.what()));
  }
  return results;
}

std::string results_csv(const StudyResults& results) {
  std::map<std::string, bool> config_columns, metric_columns;
  for (const TrialResult& trial : results.trials) {
    for (const auto& [key, value] : columns_of(trial)) config_columns[key] = true;
    for (const auto& [key, value] : metrics_of(trial)) metric_columns[key] = true;
  }
  std::string csv = "trial,status,task,upstreams";
  for (const auto& [key, unused] : config_columns) csv += "," + key;
  for (const auto& [key, unused] : metric_columns) csv += "," + key;
  csv += "\n";
  for (const TrialResult& trial : results.trials) {
    csv += fmt::format("{},{},{},{}", trial.id, trial.status, cell(trial.task()), cell(trial.upstreams()));
    auto config = columns_of(trial), metrics = metrics_of(trial);
    for (const auto& [key, unused] : config_columns) csv += "," + cell(config[key]);
    for (const auto& [key, unused] : metric_columns) csv += "," + cell(metrics[key]);
    csv += "\n";
  }
  return csv;
}

}  // namespace strata

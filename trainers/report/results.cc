#include "trainers/report/results.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "core/base/error.h"
#include "core/base/file.h"
#include "trainers/state/study_record.h"

namespace strata {
namespace {

std::string cell(const Json& value) {
  return csv_field(value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump());
}

/// The resolved settings of a trial but the hashes that only identify.
std::map<std::string, Json> columns_of(const TrialResult& trial) {
  std::map<std::string, Json> columns;
  for (const auto& [key, value] : trial.config.items()) {
    if (key != "task" && key != "upstreams" && key != "semantics") flatten(key, value, columns);
  }
  return columns;
}

/// How the metrics of tasks were called before studies recorded them: error rates fall, accuracies rise.
ResultMetric metric_by_name(const Json& done) {
  if (done.is_null()) return {};
  for (const char* name : {"accuracy", "cer", "wer", "per"}) {
    if (done.at("test").contains(name)) return {name, std::string_view(name) == "accuracy", true};
  }
  return {};
}

/// The first metric of the task is the one that chose the checkpoint.
ResultMetric metric_of(const Json& record, const TrialResult& trial) {
  const Json tasks = record.value("tasks", Json::object());
  if (!tasks.contains(trial.task())) return metric_by_name(trial.done);
  const Json& metric = tasks.at(trial.task()).at("metrics").at(0);
  return {metric.at("name"), metric.at("higher_is_better"), metric.at("unit") == "%"};
}

std::vector<std::vector<std::string>> layers_of(const Json& record, const TrialResult& trial) {
  const Json known = record.value("layers", Json::object());
  const Json& reader = trial.config.at(trial.config.at("fusion").contains("taps") ? "fusion" : "interface");
  const auto chosen = reader.value("taps", std::vector<std::string>());
  std::vector<std::vector<std::string>> layers;
  for (const Json& name : trial.names.at("upstreams")) {
    layers.push_back(chosen.empty() ? known.value(name.get<std::string>(), std::vector<std::string>()) : chosen);
  }
  return layers;
}

TrialResult read_trial(const Json& trial, const Json& record, const StudyState& state, const fs::path& output) {
  TrialResult result{trial.at("id"), "waiting", trial.at("config"), trial.at("names"), Json(), "", output, {}, {}};
  if (const auto done = state.done.find(result.id); done != state.done.end()) {
    result.status = "done";
    result.done = done->second;
  } else if (state.started.contains(result.id)) {
    result.status = "running";
  } else if (const auto failed = state.failed.find(result.id); failed != state.failed.end()) {
    result.status = "failed";
    result.reason = failed->second;
  }
  result.metric = metric_of(record, result);
  result.layers = layers_of(record, result);
  return result;
}

/// What each study is called where names clash: its name, or its output if another study has that name too.
std::vector<std::string> study_labels(const std::vector<StudyResults>& parts) {
  std::map<std::string, int> uses;
  for (const StudyResults& part : parts) uses[part.name] += 1;
  std::vector<std::string> labels;
  for (const StudyResults& part : parts)
    labels.push_back(uses[part.name] == 1 ? part.name : part.outputs.front().string());
  return labels;
}

/// Puts the study's label before names of tasks and upstreams that mean different things in different studies.
void tell_names_apart(std::vector<StudyResults>& parts) {
  std::map<std::string, std::set<std::string>> tasks, upstreams;  // by name: the identities it has
  for (const StudyResults& part : parts) {
    for (const TrialResult& trial : part.trials) {
      tasks[trial.task()].insert(trial.config.at("task").dump());
      for (std::size_t u = 0; u < trial.names.at("upstreams").size(); ++u) {
        upstreams[trial.names.at("upstreams")[u]].insert(trial.config.at("upstreams")[u].dump());
      }
    }
  }
  const std::vector<std::string> labels = study_labels(parts);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    for (TrialResult& trial : parts[p].trials) {
      const auto tell_apart = [&](Json& name, const auto& identities) {
        if (identities.at(name).size() > 1) name = labels[p] + "/" + name.get<std::string>();
      };
      tell_apart(trial.names["task"], tasks);
      for (Json& name : trial.names["upstreams"]) tell_apart(name, upstreams);
    }
  }
}

}  // namespace

void flatten(const std::string& prefix, const Json& value, std::map<std::string, Json>& leaves) {
  if (!value.is_object()) {
    leaves[prefix] = value;
    return;
  }
  for (const auto& [key, item] : value.items()) flatten(prefix.empty() ? key : prefix + "." + key, item, leaves);
}

std::map<std::string, Json> numbers_of(const TrialResult& trial) {
  std::map<std::string, Json> metrics;
  if (trial.done.is_null()) return metrics;
  flatten("dev", trial.done.at("best").at("dev"), metrics);
  flatten("test", trial.done.at("test"), metrics);
  metrics["best_step"] = trial.done.at("best").at("step");
  metrics["parameters"] = trial.done.at("parameters");
  metrics["seconds"] = trial.done.at("seconds");
  return metrics;
}

std::string ResultMetric::title() const {
  return fmt::format("{}{} {}", name, percent ? " %" : "", higher_is_better ? "↑" : "↓");
}

std::string TrialResult::upstreams() const {
  return fmt::format("{}", fmt::join(names.at("upstreams").get<std::vector<std::string>>(), "+"));
}

StudyResults load_results(const fs::path& output) {
  const fs::path path = output / "study.json";
  if (!fs::exists(path))
    throw ConfigError(
        fmt::format("{}: there is no study.json here: this is no output of `strata sweep`", output.string()));
  const StudyState state = replay_state(output);
  StudyResults results;
  try {
    const Json record = read_json(path);
    results.outputs = {output};
    results.name = record.at("name");
    results.provenance = record.value("provenance", Json::object());
    for (const Json& trial : record.at("trials")) results.trials.push_back(read_trial(trial, record, state, output));
    for (const Json& n : record.at("not_applicable"))
      results.not_applicable.emplace_back(n.at("combination"), n.at("reason"));
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid record of a study: {}", path.string(), e.what()));
  }
  return results;
}

StudyResults merge_results(std::vector<StudyResults> parts) {
  if (parts.empty()) throw InternalError("merge_results needs a study");
  if (parts.size() == 1) return std::move(parts.front());
  tell_names_apart(parts);
  StudyResults all;
  all.provenance = parts.back().provenance;
  std::map<std::string, std::size_t> places;
  std::set<std::string> names;
  for (StudyResults& part : parts) {
    if (names.insert(part.name).second) all.name += (all.name.empty() ? "" : ", ") + part.name;
    all.outputs.push_back(part.outputs.front());
    for (TrialResult& trial : part.trials) {
      const auto [place, is_new] = places.emplace(trial.id, all.trials.size());
      if (is_new) {
        all.trials.push_back(std::move(trial));
      } else if (all.trials[place->second].done.is_null() && !trial.done.is_null()) {
        all.trials[place->second] = std::move(trial);
      }
    }
    for (auto& combination : part.not_applicable) {
      if (std::find(all.not_applicable.begin(), all.not_applicable.end(), combination) == all.not_applicable.end()) {
        all.not_applicable.push_back(std::move(combination));
      }
    }
  }
  return all;
}

double number_or_nan(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string results_csv(const StudyResults& results) {
  std::map<std::string, bool> config_columns, metric_columns;
  for (const TrialResult& trial : results.trials) {
    for (const auto& [key, value] : columns_of(trial)) config_columns[key] = true;
    for (const auto& [key, value] : numbers_of(trial)) metric_columns[key] = true;
  }
  std::string csv = "trial,status,task,upstreams";
  for (const auto& [key, unused] : config_columns) csv += "," + key;
  for (const auto& [key, unused] : metric_columns) csv += "," + key;
  csv += "\n";
  for (const TrialResult& trial : results.trials) {
    csv += fmt::format("{},{},{},{}", trial.id, trial.status, cell(trial.task()), cell(trial.upstreams()));
    auto config = columns_of(trial), metrics = numbers_of(trial);
    for (const auto& [key, unused] : config_columns) csv += "," + cell(config[key]);
    for (const auto& [key, unused] : metric_columns) csv += "," + cell(metrics[key]);
    csv += "\n";
  }
  return csv;
}

}  // namespace strata

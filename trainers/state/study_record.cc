#include "trainers/state/study_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/tensor/feature_spec.h"
#include "trainers/state/journal.h"

namespace strata {
namespace {

/// The options of a part that are not its defaults: "hconv kernel_size=3". Needs no registry, so that any record can be shown.
std::string part_text(const Json& part) {
  std::string text = part.at("type");
  for (const auto& [key, value] : part.items()) {
    const bool shown = key != "type" && !(value.is_boolean() && !value.get<bool>()) && !(value.is_array() && value.empty());
    if (shown) text += fmt::format(" {}={}", key, value.dump());
  }
  return text;
}

void apply(const Json& event, StudyState& state) {
  const std::string kind = event.at("event"), id = event.at("trial");
  if (kind == "trial_started") state.started[id] = event.at("time");
  if (kind == "trial_failed") state.failed[id] = event.at("reason");
  if (kind == "trial_done") {
    state.done[id] = event;
    state.failed.erase(id);
  }
  if (kind == "trial_failed" || kind == "trial_done") state.started.erase(id);
}

Json read_record(const fs::path& path) {
  const Json record = read_json(path);
  if (!record.is_object() || !record.contains("name") || !record["name"].is_string()) {
    throw DataError(fmt::format("{}: not a valid record of a study", path.string()));
  }
  return record;
}

std::vector<std::string> listed_taps(const FeatureSpec& spec) {
  std::vector<std::string> names;
  for (const Tap& tap : spec.taps) {
    if (tap.listed) names.push_back(tap.name);
  }
  return names;
}

}  // namespace

StudyState replay_state(const fs::path& output) {
  StudyState state;
  const fs::path path = output / "journal.jsonl";
  for (const Json& event : Journal::replay(path)) {
    if (!event.contains("trial")) continue;
    try {
      apply(event, state);
    } catch (const Json::exception& e) {
      throw DataError(fmt::format("{}: {} is no event of a trial: {}", path.string(), event.dump(), e.what()));
    }
  }
  return state;
}

void check_study_record(const Study& study) {
  const fs::path path = study.output / "study.json";
  if (!fs::exists(path)) return;
  const std::string name = read_record(path)["name"];
  if (name != study.name) {
    throw ConfigError(fmt::format("{}: this output belongs to the study \"{}\", not to \"{}\"; choose another output", study.output.string(), name, study.name));
  }
}

void write_study_record(const Study& study, const StudyFacts& facts, const Expansion& expansion, const Json& provenance) {
  const fs::path path = study.output / "study.json";
  Json record = {{"name", study.name}, {"study", study.source}, {"provenance", provenance}, {"trials", Json::array()}, {"not_applicable", Json::array()}};
  for (const Trial& trial : expansion.trials) record["trials"].push_back({{"id", trial.id}, {"names", trial.names}, {"config", trial.config}});
  for (const NotApplicable& n : expansion.not_applicable) record["not_applicable"].push_back({{"combination", n.combination}, {"reason", n.reason}});
  for (const auto& [name, task] : facts.tasks) record["tasks"][name] = {{"metrics", task.metrics}};
  for (const auto& [name, upstream] : facts.upstreams) record["layers"][name] = listed_taps(upstream.spec);
  if (fs::exists(path)) {
    const Json before = read_record(path);
    if (before.value("study", Json()) != study.source) log_info("{}: the study has changed since its last run; what is done stays, the rest follows the new study", path.string());
  }
  write_file_atomically(path, record.dump(1) + "\n");
}

std::string describe_trial(const Trial& trial) {
  const auto& config = trial.config;
  return fmt::format("{} | {} | {} | {} | {} | seed {}", trial.names.at("task").get<std::string>(), fmt::join(trial.names.at("upstreams").get<std::vector<std::string>>(), "+"),
                     part_text(config.at("interface")), part_text(config.at("fusion")), part_text(config.at("optimizer")), config.at("seed").dump());
}

}  // namespace strata

#include "trainers/report/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "trainers/report/curves.h"
#include "trainers/report/table.h"
#include "trainers/state/journal.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

RunningTrial running_trial(const TrialResult& trial, const std::map<std::string, Json>& states) {
  const TableRow row = plain_row(trial);
  RunningTrial running{trial.id,
                       fmt::format("{} | {} | lr {:g} | seed {}", trial.task(), row.name(), learning_rate(trial),
                                   trial.config.at("seed").dump()),
                       0, trial.config.at("steps"), ""};
  const auto state = states.find(trial.id);
  if (state != states.end()) running.step = state->second.value("step", std::int64_t{0});
  const Curve curve = read_curve(trial, states);
  if (!curve.dev.empty() && std::isfinite(curve.dev.back())) {
    running.last_dev = fmt::format("dev {} {:.2f}{}", trial.metric.name, curve.dev.back() * trial.metric.scale(),
                                   trial.metric.percent ? " %" : "");
  }
  return running;
}

}  // namespace

StudyStatus read_status(const std::filesystem::path& output) {
  const StudyResults results = load_results(output);
  const std::map<std::string, Json> states = running_states(output);
  StudyStatus status;
  status.name = results.name;
  status.trials = static_cast<std::int64_t>(results.trials.size());
  for (const TrialResult& trial : results.trials) {
    if (trial.status == "done") status.done += 1;
    if (trial.status == "failed") status.failed += 1;
    if (trial.status == "waiting") status.waiting += 1;
    if (trial.status == "running") status.running.push_back(running_trial(trial, states));
  }
  status.owner = Owner::live(output);
  status.trials_per_second = trials_per_second(Journal::replay(output / "journal.jsonl"));
  const auto left = status.waiting + static_cast<std::int64_t>(status.running.size());
  if (status.trials_per_second && left > 0) status.seconds_left = static_cast<double>(left) / *status.trials_per_second;
  return status;
}

std::string status_text(const StudyStatus& status) {
  const bool live = !status.owner.is_null();
  std::string text =
      fmt::format("{}: {} trials: {} done, {} {}, {} waiting, {} failed\n", status.name, status.trials, status.done,
                  status.running.size(), live ? "running" : "interrupted", status.waiting, status.failed);
  for (const RunningTrial& trial : status.running) {
    text += fmt::format("  {} step {} of {}: {}{}\n", trial.id, trial.step, trial.steps, trial.description,
                        trial.last_dev.empty() ? "" : ", " + trial.last_dev);
  }
  if (status.trials_per_second) text += fmt::format("rate: {:.3g} trials a minute\n", 60 * *status.trials_per_second);
  const std::string left =
      status.seconds_left ? fmt::format(", about {} left", duration_text(*status.seconds_left)) : "";
  if (live) {
    text += fmt::format("{} works on it (process {} on {}){}\n", status.owner.value("what", "a job"),
                        status.owner.value("pid", 0), status.owner.value("host", "?"), left);
  } else if (status.waiting > 0 || !status.running.empty()) {
    text += fmt::format("nobody works on it; run `strata sweep` again to continue{}\n", left);
  } else {
    text += status.failed > 0 ? "nothing is left but what failed; `strata sweep --retry-failed` tries it again\n"
                              : "all is done\n";
  }
  return text;
}

std::optional<double> trials_per_second(const std::vector<Json>& journal) {
  std::map<std::string, double> started;
  std::vector<std::pair<double, double>> spans;  // of trials that are done
  for (const Json& event : journal) {
    const std::string kind = event.value("event", ""), trial = event.value("trial", "");
    if (kind == "trial_started") started[trial] = event.value("time", 0.0);
    if (kind == "trial_done" && started.contains(trial)) spans.emplace_back(started[trial], event.value("time", 0.0));
  }
  std::sort(spans.begin(), spans.end());
  double worked = 0, until = 0;
  for (const auto& [from, to] : spans) {
    worked += std::max(0.0, to - std::max(from, until));
    until = std::max(until, to);
  }
  if (worked <= 0) return std::nullopt;
  return static_cast<double>(spans.size()) / worked;
}

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
}

}  // namespace strata

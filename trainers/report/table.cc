#include "trainers/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace strata {
namespace {

/// Error rates fall, accuracies rise; the record says only the metric's name.
bool higher_is_better(const std::string& metric) { return metric == "accuracy"; }

/// The metric that chose the checkpoint: the one that dev has besides loss and count, first by the task's order of preference.
std::string main_metric(const Json& dev) {
  for (const char* name : {"accuracy", "cer", "wer", "per"}) {
    if (dev.contains(name)) return name;
  }
  return "loss";
}

std::string options_text(const Json& part) {
  std::string text;
  for (const auto& [key, value] : part.items()) {
    const bool shown = key != "type" && !(value.is_boolean() && !value.get<bool>()) && !(value.is_array() && value.empty()) &&
                       !(value.is_string() && value.get<std::string>().empty());
    if (shown) text += fmt::format("{}{}={}", text.empty() ? " (" : ", ", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return part.at("type").get<std::string>() + (text.empty() ? "" : text + ")");
}

std::string row_name(const TrialResult& trial) {
  std::string row = trial.upstreams() + " | " + options_text(trial.config.at("interface"));
  if (trial.config.at("fusion").at("type") != "none") row += " | " + options_text(trial.config.at("fusion"));
  return row;
}

/// Everything that sets trials apart within a cell besides learning rate and seed: two of them are two rows.
std::string setting(const TrialResult& trial) {
  Json rest = trial.config;
  rest["optimizer"].erase("learning_rate");
  for (const char* key : {"seed", "task", "upstreams", "interface", "fusion", "semantics"}) rest.erase(key);
  return rest.dump();
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

struct Scores {
  std::vector<double> dev, test;  // over seeds
};

TableCell make_cell(const std::vector<const TrialResult*>& trials) {
  TableCell cell;
  std::map<double, Scores> by_rate;
  std::set<double> tried;
  for (const TrialResult* trial : trials) {
    const double rate = trial->config.at("optimizer").at("learning_rate");
    tried.insert(rate);
    if (trial->done.is_null()) {
      cell.unfinished += 1;
      continue;
    }
    cell.metric = main_metric(trial->done.at("test"));
    by_rate[rate].dev.push_back(trial->done.at("best").at("dev").at(cell.metric));
    by_rate[rate].test.push_back(trial->done.at("test").at(cell.metric));
  }
  if (by_rate.empty()) return cell;
  const bool higher = higher_is_better(cell.metric);
  const auto best = std::max_element(by_rate.begin(), by_rate.end(), [&](const auto& a, const auto& b) {
    return higher ? mean(a.second.dev) < mean(b.second.dev) : mean(a.second.dev) > mean(b.second.dev);
  });
  const std::vector<double>& test = best->second.test;
  cell.percent = cell.metric != "loss";
  cell.learning_rate = best->first;
  cell.at_edge = tried.size() > 1 && (best->first == *tried.begin() || best->first == *tried.rbegin());
  cell.mean = mean(test);
  cell.seeds = static_cast<std::int64_t>(test.size());
  double squares = 0;
  for (const double v : test) squares += (v - cell.mean) * (v - cell.mean);
  cell.spread = test.size() > 1 ? std::sqrt(squares / static_cast<double>(test.size() - 1)) : 0.0;
  return cell;
}

std::string cell_text(const TableCell& cell) {
  if (cell.seeds == 0) return "–";
  const double scale = cell.percent ? 100.0 : 1.0;
  std::string text = fmt::format("{:.2f}", cell.mean * scale);
  if (cell.seeds > 1) text += fmt::format(" ± {:.2f}", cell.spread * scale);
  return text + fmt::format(" (lr {:g}{})", cell.learning_rate, cell.at_edge ? " !" : "");
}

}  // namespace

ResultTable make_table(const StudyResults& results) {
  ResultTable table;
  std::map<std::pair<std::string, std::string>, std::vector<const TrialResult*>> groups;
  std::map<std::pair<std::string, std::string>, std::set<std::string>> settings;  // by row name and task
  for (const TrialResult& trial : results.trials) settings[{row_name(trial), trial.task()}].insert(setting(trial));
  for (const TrialResult& trial : results.trials) {
    std::string row = row_name(trial);
    const auto& variants = settings.at({row, trial.task()});
    if (variants.size() > 1) row += fmt::format(" | setting {}", 1 + std::distance(variants.begin(), variants.find(setting(trial))));
    if (std::find(table.rows.begin(), table.rows.end(), row) == table.rows.end()) table.rows.push_back(row);
    if (std::find(table.tasks.begin(), table.tasks.end(), trial.task()) == table.tasks.end()) table.tasks.push_back(trial.task());
    groups[{row, trial.task()}].push_back(&trial);
  }
  for (const auto& [place, trials] : groups) table.cells[place] = make_cell(trials);
  return table;
}

std::string markdown_report(const StudyResults& results) {
  const ResultTable table = make_table(results);
  std::map<std::string, std::string> metric_of;
  for (const auto& [place, cell] : table.cells) {
    if (!cell.metric.empty()) metric_of[place.second] = cell.metric;
  }
  std::string text = fmt::format("# {}\n\n| upstream | interface |", results.name);
  for (const std::string& task : table.tasks) {
    const std::string metric = metric_of[task];
    text += fmt::format(" {} {}{} {} |", task, metric, metric == "loss" ? "" : " %", higher_is_better(metric) ? "↑" : "↓");
  }
  text += "\n| --- | --- |";
  for (std::size_t i = 0; i < table.tasks.size(); ++i) text += " --- |";
  text += "\n";
  std::string edges;
  std::int64_t unfinished = 0;
  for (const std::string& row : table.rows) {
    const std::size_t bar = row.find(" | ");
    text += fmt::format("| {} | {} |", row.substr(0, bar), row.substr(bar + 3));
    for (const std::string& task : table.tasks) {
      const auto found = table.cells.find({row, task});
      text += fmt::format(" {} |", found == table.cells.end() ? "–" : cell_text(found->second));
      if (found == table.cells.end()) continue;
      unfinished += found->second.unfinished;
      if (found->second.at_edge) edges += fmt::format("- {}, {}: learning rate {:g} is the best and the last of its grid; try further out.\n", row, task, found->second.learning_rate);
    }
    text += "\n";
  }
  text += "\nTest results at the learning rate that is best on dev; mean ± standard deviation over seeds where there are several.\n";
  if (!edges.empty()) text += "\n`!` marks a best learning rate at the edge of its grid:\n\n" + edges;
  if (unfinished > 0) text += fmt::format("\n{} of {} trials are not done.\n", unfinished, results.trials.size());
  for (const TrialResult& trial : results.trials) {
    if (trial.status == "failed") text += fmt::format("\n- trial {} failed: {}\n", trial.id, trial.reason);
  }
  for (const auto& [combination, reason] : results.not_applicable) text += fmt::format("\n- not applicable: {}: {}\n", combination, reason);
  return text;
}

}  // namespace strata

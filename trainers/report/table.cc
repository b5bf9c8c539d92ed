#include "trainers/report/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace strata {
namespace {

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// "hconv (kernel_size=5, stride=3)": options that are off or empty are not shown.
std::string options_text(const Json& part) {
  std::vector<std::string> shown;
  for (const auto& [key, value] : part.items()) {
    if (key == "type" || value == false || value == "" || (value.is_array() && value.empty())) continue;
    shown.push_back(key + "=" + text_of(value));
  }
  const std::string type = part.at("type");
  return shown.empty() ? type : fmt::format("{} ({})", type, fmt::join(shown, ", "));
}

/// Everything that sets trials apart within a cell besides learning rate and seed: two of them are two rows.
Json setting(const TrialResult& trial) {
  Json rest = trial.config;
  rest["optimizer"].erase("learning_rate");
  for (const char* key : {"seed", "task", "upstreams", "interface", "fusion", "semantics"}) rest.erase(key);
  return rest.flatten();
}

/// "steps=2000, optimizer.type=sgd": what of a setting is not the same in all `variants`.
std::string difference_text(const Json& mine, const std::set<Json>& variants) {
  std::vector<std::string> different;
  for (const auto& [pointer, value] : mine.items()) {
    const bool same = std::all_of(variants.begin(), variants.end(),
                                  [&](const Json& v) { return v.contains(pointer) && v.at(pointer) == value; });
    std::string key = pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    if (!same) different.push_back(key + "=" + text_of(value));
  }
  return fmt::format("{}", fmt::join(different, ", "));
}

using Group = std::vector<const TrialResult*>;

/// A mean over seeds that is not a number is worse than any.
double rank(double mean, bool higher_is_better) {
  if (std::isnan(mean)) return -std::numeric_limits<double>::infinity();
  return higher_is_better ? mean : -mean;
}

TableCell make_cell(const Group& trials) {
  TableCell cell;
  std::map<double, Group> done;
  std::set<double> tried;
  for (const TrialResult* trial : trials) {
    cell.trials += 1;
    tried.insert(learning_rate(*trial));
    if (!trial->done.is_null()) {
      done[learning_rate(*trial)].push_back(trial);
      continue;
    }
    cell.unfinished += 1;
    if (trial->status == "running") cell.shown.push_back(trial);
  }
  if (done.empty()) return cell;
  const ResultMetric& metric = trials.front()->metric;
  const auto values = [&](const Group& group, bool test) {
    std::vector<double> all;
    for (const TrialResult* t : group)
      all.push_back(
          number_or_nan(test ? t->done.at("test").at(metric.name) : t->done.at("best").at("dev").at(metric.name)));
    return all;
  };
  const auto best = std::max_element(done.begin(), done.end(), [&](const auto& a, const auto& b) {
    return rank(mean_of(values(a.second, false)), metric.higher_is_better) <
           rank(mean_of(values(b.second, false)), metric.higher_is_better);
  });
  const std::vector<double> test = values(best->second, true);
  cell.learning_rate = best->first;
  if (tried.size() > 1 && best->first == *tried.begin()) cell.edge = "lowest";
  if (tried.size() > 1 && best->first == *tried.rbegin()) cell.edge = "highest";
  cell.mean = mean_of(test);
  cell.spread = spread_of(test);
  cell.seeds = static_cast<std::int64_t>(test.size());
  cell.shown = best->second;
  return cell;
}

void mark_best(ResultTable& table) {
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const bool higher = table.columns[c].metric.higher_is_better;
    double best = -std::numeric_limits<double>::infinity();
    std::size_t candidates = 0;
    for (const auto& row : table.cells) {
      if (row[c].seeds == 0) continue;
      candidates += 1;
      best = std::max(best, rank(row[c].mean, higher));
    }
    for (auto& row : table.cells) row[c].best = candidates > 1 && row[c].seeds > 0 && rank(row[c].mean, higher) == best;
  }
}

/// Index of the row or column of that name, which is added if there is none.
template <class Item, class Same>
std::size_t place_of(std::vector<Item>& items, const Item& item, Same same) {
  const auto found = std::find_if(items.begin(), items.end(), same);
  if (found == items.end()) {
    items.push_back(item);
    return items.size() - 1;
  }
  return static_cast<std::size_t>(found - items.begin());
}

}  // namespace

TableRow plain_row(const TrialResult& trial) {
  std::string interface = options_text(trial.config.at("interface"));
  if (trial.config.at("fusion").at("type") != "none") interface += " | " + options_text(trial.config.at("fusion"));
  return {trial.upstreams(), interface};
}

double learning_rate(const TrialResult& trial) { return trial.config.at("optimizer").value("learning_rate", 0.0); }

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double spread_of(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

ResultTable make_table(const StudyResults& results) {
  ResultTable table;
  std::map<std::pair<std::string, std::string>, std::set<Json>> settings;  // by row name and task
  for (const TrialResult& trial : results.trials)
    settings[{plain_row(trial).name(), trial.task()}].insert(setting(trial));
  std::map<std::pair<std::size_t, std::size_t>, Group> groups;
  for (const TrialResult& trial : results.trials) {
    TableRow row = plain_row(trial);
    const auto& variants = settings.at({row.name(), trial.task()});
    if (variants.size() > 1) row.interface += " | " + difference_text(setting(trial), variants);
    const std::size_t r = place_of(table.rows, row, [&](const TableRow& other) { return other.name() == row.name(); });
    const std::size_t c = place_of(table.columns, {trial.task(), trial.metric},
                                   [&](const TableColumn& other) { return other.task == trial.task(); });
    // Older records tell a task's metric only where a trial is done.
    if (!trial.done.is_null()) table.columns[c].metric = trial.metric;
    groups[{r, c}].push_back(&trial);
  }
  table.cells.assign(table.rows.size(), std::vector<TableCell>(table.columns.size()));
  for (auto& [place, trials] : groups) {
    std::stable_partition(trials.begin(), trials.end(), [](const TrialResult* t) { return !t->done.is_null(); });
    table.cells[place.first][place.second] = make_cell(trials);
  }
  mark_best(table);
  return table;
}

std::string value_text(const TableCell& cell, const ResultMetric& metric) {
  if (cell.seeds == 0) return "–";
  const std::string mean = fmt::format("{:.2f}", cell.mean * metric.scale());
  return cell.seeds == 1 ? mean : mean + fmt::format(" ± {:.2f}", cell.spread * metric.scale());
}

std::vector<std::string> table_warnings(const StudyResults& results, const ResultTable& table) {
  std::vector<std::string> warnings;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const TableCell& cell = table.cells[r][c];
      const std::string place = fmt::format("{}, {}", table.rows[r].name(), table.columns[c].task);
      if (!cell.edge.empty()) {
        warnings.push_back(fmt::format("{}: the best learning rate, {:g}, is the {} of its grid: try {} ones", place,
                                       cell.learning_rate, cell.edge, cell.edge == "lowest" ? "lower" : "higher"));
      }
      if (cell.still_improving)
        warnings.push_back(fmt::format("{}: dev {} still improves at the last step: train longer", place,
                                       table.columns[c].metric.name));
      if (cell.seeds > 0 && cell.unfinished > 0)
        warnings.push_back(fmt::format("{}: {} of {} trials are not done, so the number may change", place,
                                       cell.unfinished, cell.trials));
    }
  }
  for (const TrialResult& trial : results.trials) {
    if (trial.status == "failed") warnings.push_back(fmt::format("trial {} failed: {}", trial.id, trial.reason));
  }
  for (const auto& [combination, reason] : results.not_applicable)
    warnings.push_back(fmt::format("not applicable: {}: {}", combination, reason));
  return warnings;
}

std::string progress_text(const StudyResults& results) {
  std::map<std::string, int> counts;
  for (const TrialResult& trial : results.trials) counts[trial.status] += 1;
  std::string text = fmt::format("{} of {} trials are done", counts["done"], results.trials.size());
  for (const char* status : {"running", "waiting", "failed"}) {
    if (counts[status] > 0) text += fmt::format(", {} {}", counts[status], status);
  }
  return text + ".";
}

}  // namespace strata

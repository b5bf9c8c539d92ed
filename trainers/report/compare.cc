#include "trainers/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>

#include "core/base/error.h"
#include "trainers/report/table.h"

namespace strata {
namespace {

std::string cell_text(const Json& value) {
  if (value.is_null()) return "–";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string row(const std::string& name, const std::string& a, const std::string& b, const std::string& last = "") {
  return fmt::format("| {} | {} | {} |{}\n", name, a, b, last.empty() ? "" : " " + last + " |");
}

using Leaves = std::map<std::string, Json>;

/// Calls `add` with each key that either has, and its value in both; null where it has none.
template <class Add>
void join(const Leaves& a, const Leaves& b, const Add& add) {
  Leaves keys = a;
  keys.insert(b.begin(), b.end());
  for (const auto& [key, unused] : keys) add(key, a.contains(key) ? a.at(key) : Json(), b.contains(key) ? b.at(key) : Json());
}

/// Names and configuration of a trial.
Leaves settings_of(const TrialResult& trial) {
  Leaves leaves;
  flatten("names", trial.names, leaves);
  flatten("config", trial.config, leaves);
  return leaves;
}

struct FinishedTrial {
  TrialResult result;
  std::map<std::string, Json> predictions;  // by utterance
};

FinishedTrial read_trial(const fs::path& given) {
  const fs::path folder = given.has_filename() ? given : given.parent_path();
  if (!fs::exists(folder / "trial.json")) throw ConfigError(fmt::format("{}: no finished trial; give a folder OUTPUT/trials/<trial id>", given.string()));
  const StudyResults study = load_results(fs::absolute(folder).lexically_normal().parent_path().parent_path());
  FinishedTrial trial;
  for (const TrialResult& one : study.trials) {
    if (one.id == folder.filename() && one.status == "done") trial.result = one;
  }
  if (trial.result.id.empty()) throw ConfigError(fmt::format("{}: study \"{}\" has no finished trial of this name", given.string(), study.name));
  std::istringstream lines(read_file(folder / "predictions.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    Json prediction = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!prediction.is_object() || !prediction.contains("id")) throw DataError(fmt::format("{}: not a prediction: {}", (folder / "predictions.jsonl").string(), line));
    const std::string id = prediction["id"];
    trial.predictions[id] = std::move(prediction);
  }
  return trial;
}

/// Whether an utterance was recognised without an error; none for a task whose predictions are neither right nor wrong.
std::optional<bool> is_right(const Json& prediction) {
  if (prediction.contains("label") && prediction.contains("predicted")) return prediction["label"] == prediction["predicted"];
  if (prediction.contains("reference") && prediction.contains("hypothesis")) return prediction["reference"] == prediction["hypothesis"];
  return std::nullopt;
}

std::string agreement(const FinishedTrial& a, const FinishedTrial& b) {
  std::int64_t common = 0, only_a = 0, only_b = 0, both = 0;
  for (const auto& [id, prediction] : a.predictions) {
    const auto found = b.predictions.find(id);
    if (found == b.predictions.end()) continue;
    const auto left = is_right(prediction), right = is_right(found->second);
    if (!left || !right) continue;
    common += 1;
    both += *left && *right;
    only_a += *left && !*right;
    only_b += *right && !*left;
  }
  if (common == 0) return "They have no tested utterance in common that is right or wrong.\n";
  return fmt::format("Of {} utterances that both tested: {} right in both, {} only in A, {} only in B; sign test p = {:.3g}.\n", common, both, only_a, only_b,
                     sign_test(only_a, only_b));
}

}  // namespace

double sign_test(std::int64_t first, std::int64_t second) {
  const auto n = static_cast<double>(first + second);
  const std::int64_t fewer = std::min(first, second);
  double tail = 0;
  for (std::int64_t k = 0; k <= fewer; ++k) {
    const auto chosen = static_cast<double>(k);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(chosen + 1) - std::lgamma(n - chosen + 1) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

std::string compare_trials(const fs::path& a, const fs::path& b) {
  const FinishedTrial left = read_trial(a), right = read_trial(b);
  std::string text = fmt::format("A: {}\nB: {}\n\n", a.string(), b.string());
  std::string settings;
  join(settings_of(left.result), settings_of(right.result), [&](const std::string& key, const Json& one, const Json& other) {
    if (one != other) settings += row(key, cell_text(one), cell_text(other));
  });
  text += settings.empty() ? "The settings are the same.\n" : row("setting", "A", "B") + row("---", "---", "---") + settings;
  text += "\n" + row("result", "A", "B", "B − A") + row("---", "---:", "---:", "---:");
  join(numbers_of(left.result), numbers_of(right.result), [&](const std::string& key, const Json& one, const Json& other) {
    const bool numbers = one.is_number() && other.is_number();
    text += row(key, cell_text(one), cell_text(other), numbers ? fmt::format("{:+.4g}", other.get<double>() - one.get<double>()) : "–");
  });
  return text + "\n" + agreement(left, right);
}

std::string compare_studies(const StudyResults& a, const StudyResults& b) {
  // By task and row: the text of A's cell and of B's, in the order in which they come.
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> cells;
  for (const bool first : {true, false}) {
    const ResultTable table = make_table(first ? a : b);
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      for (std::size_t r = 0; r < table.rows.size(); ++r) {
        const TableCell& cell = table.cells[r][c];
        if (cell.trials == 0) continue;
        const std::pair key(table.columns[c].task + " " + table.columns[c].metric.title(), table.rows[r].upstream + ", " + table.rows[r].interface);
        if (!cells.contains(key)) {
          order.push_back(key);
          cells[key] = {"–", "–"};
        }
        (first ? cells[key].first : cells[key].second) = value_text(cell, table.columns[c].metric);
      }
    }
  }
  std::string text = fmt::format("| task | upstream, interface | {} | {} |\n| --- | --- | ---: | ---: |\n", a.name, b.name);
  for (const auto& key : order) text += fmt::format("| {} | {} | {} | {} |\n", key.first, key.second, cells[key].first, cells[key].second);
  return text;
}

}  // namespace strata

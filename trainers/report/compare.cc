#include "trainers/report/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
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

/// Every leaf of an object by its path, "optimizer.learning_rate".
void flatten(const Json& value, const std::string& path, std::map<std::string, Json>& leaves) {
  if (!value.is_object()) {
    leaves[path] = value;
    return;
  }
  for (const auto& [key, child] : value.items()) flatten(child, path.empty() ? key : path + "." + key, leaves);
}

/// A row for each leaf that is not the same in both; "seconds" and the like only with `all`.
std::string leaf_rows(const Json& a, const Json& b, bool all) {
  std::map<std::string, Json> left, right;
  flatten(a, "", left);
  flatten(b, "", right);
  std::set<std::string> keys;
  for (const auto& leaves : {left, right}) {
    for (const auto& [key, value] : leaves) keys.insert(key);
  }
  std::string text;
  for (const std::string& key : keys) {
    const Json one = left.contains(key) ? left.at(key) : Json(), other = right.contains(key) ? right.at(key) : Json();
    if (one == other && !all) continue;
    const std::string change = one.is_number() && other.is_number() ? fmt::format("{:+.4g}", other.get<double>() - one.get<double>()) : "";
    text += all ? row(key, cell_text(one), cell_text(other), change.empty() ? "–" : change) : row(key, cell_text(one), cell_text(other));
  }
  return text;
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
  const std::string settings = leaf_rows({{"names", left.result.names}, {"config", left.result.config}},
                                         {{"names", right.result.names}, {"config", right.result.config}}, false);
  text += settings.empty() ? "The settings are the same.\n" : row("setting", "A", "B") + row("---", "---", "---") + settings;
  const auto numbers = [](const TrialResult& trial) {
    return Json{{"test", trial.done.at("test")}, {"best step", trial.done.at("best").at("step")}, {"dev", trial.done.at("best").at("dev")},
                {"parameters", trial.done.at("parameters")}, {"seconds", trial.done.at("seconds")}};
  };
  text += "\n" + row("result", "A", "B", "B − A") + row("---", "---:", "---:", "---:") + leaf_rows(numbers(left.result), numbers(right.result), true);
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

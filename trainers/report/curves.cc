#include "trainers/report/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/safetensors.h"

namespace strata {
namespace {

void add_evaluation(const Json& evaluation, const std::string& metric, Curve& curve) {
  curve.steps.push_back(evaluation.at("step"));
  curve.dev.push_back(number_or_nan(evaluation.at("dev").value(metric, Json())));
  curve.train_loss.push_back(number_or_nan(evaluation.value("train_loss", Json())));
}

Curve read_metrics_file(const fs::path& path, const std::string& metric) {
  Curve curve;
  std::istringstream lines(read_file(path));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    try {
      add_evaluation(Json::parse(line), metric, curve);
    } catch (const Json::exception& e) {
      throw DataError(fmt::format("{} line {}: not a valid evaluation: {}", path.string(), number, e.what()));
    }
  }
  return curve;
}

std::vector<double> tail(const std::vector<double>& values, std::size_t skip_last, std::size_t count) {
  const auto end = values.end() - static_cast<std::ptrdiff_t>(skip_last);
  return {end - static_cast<std::ptrdiff_t>(count), end};
}

}  // namespace

std::map<std::string, Json> running_states(const fs::path& output) {
  std::map<std::string, Json> states;
  std::error_code none;
  for (const auto& bank : fs::directory_iterator(output / "banks", none)) {
    try {
      std::map<std::string, std::string> metadata;
      read_safetensors(bank.path() / "checkpoint.safetensors", &metadata);
      Json state = Json::parse(metadata.at("state"));
      states[state.at("trial")] = state;
    } catch (const DataError&) {
    } catch (const Json::exception&) {
    } catch (const std::out_of_range&) {
    }
  }
  return states;
}

Curve read_curve(const TrialResult& trial, const std::map<std::string, Json>& running) {
  const fs::path path = trial.output / "trials" / trial.id / "metrics.jsonl";
  if (!trial.done.is_null() && fs::exists(path)) return read_metrics_file(path, trial.metric.name);
  Curve curve;
  const auto state = running.find(trial.id);
  if (state == running.end()) return curve;
  for (const Json& evaluation : state->second.value("history", Json::array()))
    add_evaluation(evaluation, trial.metric.name, curve);
  return curve;
}

void read_curves(ResultTable& table) {
  std::map<fs::path, std::map<std::string, Json>> running;
  for (auto& row : table.cells) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      TableCell& cell = row[c];
      cell.curves.clear();
      for (const TrialResult* trial : cell.shown) {
        if (!running.contains(trial->output)) running[trial->output] = running_states(trial->output);
        cell.curves.push_back(read_curve(*trial, running.at(trial->output)));
      }
      cell.still_improving =
          cell.seeds > 0 && still_improving(mean_curve(cell.curves).dev, table.columns[c].metric.higher_is_better);
    }
  }
}

Curve mean_curve(const std::vector<Curve>& curves) {
  struct Sums {
    double dev = 0, train_loss = 0;
    std::size_t count = 0;
  };
  std::map<double, Sums> by_step;
  for (const Curve& curve : curves) {
    for (std::size_t i = 0; i < curve.steps.size(); ++i) {
      Sums& sums = by_step[curve.steps[i]];
      sums.dev += curve.dev[i];
      sums.train_loss += curve.train_loss[i];
      sums.count += 1;
    }
  }
  Curve mean;
  const auto all = static_cast<double>(curves.size());
  for (const auto& [step, sums] : by_step) {
    if (sums.count != curves.size()) continue;
    mean.steps.push_back(step);
    mean.dev.push_back(sums.dev / all);
    mean.train_loss.push_back(sums.train_loss / all);
  }
  return mean;
}

bool still_improving(const std::vector<double>& values, bool higher_is_better) {
  std::vector<double> gains = values;  // higher is better from here on
  for (double& v : gains) v = std::isnan(v) ? -std::numeric_limits<double>::infinity() : higher_is_better ? v : -v;
  if (gains.size() < 2) return false;
  if (std::all_of(gains.begin(), gains.end() - 1, [&](double v) { return v < gains.back(); })) return true;
  const std::size_t quarter = gains.size() / 4;
  if (quarter < 2 || !std::all_of(gains.end() - static_cast<std::ptrdiff_t>(2 * quarter), gains.end(),
                                  [](double v) { return std::isfinite(v); }))
    return false;
  const std::vector<double> half = tail(gains, 0, 2 * quarter);
  std::vector<double> differences;
  for (std::size_t i = 1; i < half.size(); ++i) differences.push_back(half[i] - half[i - 1]);
  const double scatter = spread_of(differences) / std::sqrt(2.0);
  const double gain = mean_of(tail(gains, 0, quarter)) - mean_of(tail(gains, quarter, quarter));
  // Equal values have differences of rounding size only.
  return gain > 2.0 * std::sqrt(2.0 / static_cast<double>(quarter)) * scatter && gain > 1e-9;
}

}  // namespace strata

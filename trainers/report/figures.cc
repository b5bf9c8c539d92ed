#include "trainers/report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>

#include "trainers/report/charts.h"
#include "trainers/report/curves.h"

namespace strata {
namespace {

/// More lines than this in one panel cannot be told apart.
constexpr std::size_t kMostCurves = 12;

std::string file_name(std::string text) {
  for (char& c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return text;
}

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

// --- layer weights

struct WeightsRow {
  std::string label;
  std::vector<double> weights;      // mean over seeds
  std::vector<std::string> layers;  // their names; empty if not known
};

/// The layers that "interface.<i>.layer_weights" or "fusion.<i>.layer_weights" weighs.
std::vector<std::string> weighed_layers(const TrialResult& trial, const std::string& parameter) {
  const std::size_t digits = parameter.find('.') + 1;
  if (digits == 0 || std::isdigit(static_cast<unsigned char>(parameter[digits])) == 0) return {};
  const std::size_t upstream = std::stoul(parameter.substr(digits));
  return upstream < trial.layers.size() ? trial.layers[upstream] : std::vector<std::string>();
}

/// One row for each `layer_weights` parameter of the cell.
std::vector<WeightsRow> weights_of(const TableCell& cell, const std::string& name) {
  std::map<std::string, WeightsRow> rows;
  std::map<std::string, double> counts;
  for (const TrialResult* trial : cell.shown) {
    if (trial->done.is_null()) continue;
    const Json weights = trial->done.at("best").value("weights", Json::object());
    for (const auto& [parameter, values] : weights.items()) {
      if (!parameter.ends_with("layer_weights")) continue;
      WeightsRow& row = rows[parameter];
      row.weights.resize(values.size(), 0.0);
      row.layers = weighed_layers(*trial, parameter);
      counts[parameter] += 1;
      for (std::size_t i = 0; i < row.weights.size() && i < values.size(); ++i)
        row.weights[i] += number_or_nan(values[i]);
    }
  }
  std::vector<WeightsRow> all;
  for (auto& [parameter, row] : rows) {
    row.label = rows.size() == 1 ? name : name + " | " + parameter.substr(0, parameter.rfind('.'));
    for (double& w : row.weights) w /= counts[parameter];
    all.push_back(std::move(row));
  }
  return all;
}

/// Names if all rows agree on them, else indices.
std::vector<std::string> column_names(const std::vector<WeightsRow>& rows) {
  std::size_t columns = 0;
  for (const WeightsRow& row : rows) columns = std::max(columns, row.weights.size());
  std::vector<std::string> names;
  for (const WeightsRow& row : rows) {
    if (row.layers.size() != row.weights.size()) return numbered(columns);
    const std::size_t shared = std::min(names.size(), row.layers.size());
    if (!std::equal(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shared), row.layers.begin()))
      return numbered(columns);
    if (row.layers.size() > names.size()) names = row.layers;
  }
  return names;
}

void add_layer_weights(const ResultTable& table, std::size_t column, std::vector<Figure>& figures) {
  std::vector<WeightsRow> rows;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    for (WeightsRow& row : weights_of(table.cells[r][column], table.rows[r].name())) {
      if (row.weights.size() > 1) rows.push_back(std::move(row));  // the one layer of an analysis always weighs 1
    }
  }
  if (rows.empty()) return;
  const std::string& task = table.columns[column].task;
  HeatMap map{fmt::format("{}: learned layer weights", task), "layer", "weight", {}, column_names(rows), {}};
  for (const WeightsRow& row : rows) {
    map.rows.push_back(row.label);
    map.values.push_back(row.weights);
  }
  figures.push_back({"layer_weights_" + file_name(task), "Layer weights",
                     "Softmax of the learned weights at the best step; mean over seeds at the best learning rate.",
                     draw_heat_map(map)});
}

// --- metric by layer

/// How many layers the cell's upstream has: as recorded, else as many as a weighted sum of the same upstream weighs; 0:
/// unknown.
std::size_t count_layers(const ResultTable& table, std::size_t row, std::size_t column) {
  const TrialResult& trial = *table.cells[row][column].shown.front();
  if (!trial.layers.empty() && !trial.layers.front().empty()) return trial.layers.front().size();
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    if (table.rows[r].upstream != table.rows[row].upstream) continue;
    for (const WeightsRow& weights : weights_of(table.cells[r][column], "")) return weights.weights.size();
  }
  return 0;
}

/// What a single_layer setting is called without its layer: the upstream, and its other options if it has any.
std::string layer_series(const TableRow& row, const Json& interface) {
  std::string rest = row.interface;
  const std::string layer = "layer=" + interface.at("layer").dump();
  if (const std::size_t at = rest.find(layer); at != std::string::npos) rest.erase(at, layer.size());
  for (const char* empty : {"single_layer ()", "single_layer"}) {
    if (rest.starts_with(empty)) rest.erase(0, std::string(empty).size());
  }
  return row.upstream + rest;
}

void add_metric_by_layer(const ResultTable& table, std::size_t column, std::vector<Figure>& figures) {
  const auto& [task, metric] = table.columns[column];
  std::vector<Series> series;
  std::vector<std::string> names;
  std::size_t most_layers = 0;
  bool same_names = true;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const TableCell& cell = table.cells[r][column];
    if (cell.seeds == 0) continue;
    const TrialResult& trial = *cell.shown.front();
    const Json& interface = trial.config.at("interface");
    if (interface.at("type") != "single_layer" || trial.layers.size() > 1) continue;
    const auto layers = static_cast<double>(count_layers(table, r, column));
    const double layer = interface.at("layer").get<double>();
    if (layer < 0 && layers == 0) continue;  // which layer that is was not recorded
    const std::string label = layer_series(table.rows[r], interface);
    auto found = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.label == label; });
    if (found == series.end()) found = series.insert(series.end(), {label, {}, {}});
    const double x = layer < 0 ? layer + layers : layer;
    found->mean.push_back({x, cell.mean * metric.scale()});
    // The spread over seeds as a short upright line.
    if (cell.seeds > 1)
      found->repeats.push_back(
          {{x, (cell.mean - cell.spread) * metric.scale()}, {x, (cell.mean + cell.spread) * metric.scale()}});
    most_layers = std::max(most_layers, static_cast<std::size_t>(std::max(layers, x + 1)));
    const std::vector<std::string> mine = trial.layers.empty() ? std::vector<std::string>() : trial.layers.front();
    same_names = same_names && (names.empty() || names == mine);
    names = mine;
  }
  const bool any = std::any_of(series.begin(), series.end(), [](const Series& s) { return s.mean.size() > 1; });
  if (!any) return;
  for (Series& s : series)
    std::sort(s.mean.begin(), s.mean.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
  if (!same_names || names.size() != most_layers) names = numbered(most_layers);
  LineChart chart{fmt::format("{}: test {} by layer", task, metric.title()),
                  "layer",
                  metric.title(),
                  std::move(series),
                  false,
                  true,
                  names};
  figures.push_back({"metric_by_layer_" + file_name(task), "Metric by layer",
                     "Trials on one layer (single_layer) at their best learning rate; upright lines: mean ± standard "
                     "deviation over seeds.",
                     draw_lines(chart)});
}

// --- learning curves

std::vector<Point> points(const Curve& curve, bool dev, double scale) {
  std::vector<Point> line;
  for (std::size_t i = 0; i < curve.steps.size(); ++i)
    line.push_back({curve.steps[i], scale * (dev ? curve.dev[i] : curve.train_loss[i])});
  return line;
}

/// The rows that have curves, at most kMostCurves of them: the best on dev at the end.
std::vector<std::size_t> rows_with_curves(const ResultTable& table, std::size_t column) {
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const Curve mean = mean_curve(table.cells[r][column].curves);
    if (mean.steps.empty()) continue;
    double best = -std::numeric_limits<double>::infinity();
    for (const double v : mean.dev)
      best = std::max(best, std::isnan(v) ? best : table.columns[column].metric.higher_is_better ? v : -v);
    ranked.emplace_back(-best, r);
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), kMostCurves));
  std::vector<std::size_t> rows;
  for (const auto& [unused, r] : ranked) rows.push_back(r);
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Losses that differ by more than a factor of 30 need a logarithmic axis.
bool spans_decades(const std::vector<Series>& series) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const Series& s : series) {
    for (const Point& p : s.mean) {
      if (!std::isfinite(p.y)) continue;
      if (p.y <= 0) return false;
      low = std::min(low, p.y);
      high = std::max(high, p.y);
    }
  }
  return high > 30 * low;
}

void add_learning_curves(const ResultTable& table, std::size_t column, std::vector<Figure>& figures) {
  const auto& [task, metric] = table.columns[column];
  const std::vector<std::size_t> rows = rows_with_curves(table, column);
  if (rows.empty()) return;
  std::size_t with_curves = 0;
  for (const auto& row : table.cells) with_curves += mean_curve(row[column].curves).steps.empty() ? 0 : 1;
  std::string caption = "At the best learning rate of each row: seeds thin, their mean thick.";
  if (with_curves > rows.size()) caption += fmt::format(" The best {} of {} rows.", rows.size(), with_curves);
  for (const bool dev : {true, false}) {
    const double scale = dev ? metric.scale() : 1.0;
    LineChart chart{fmt::format("{}: {} by step", task, dev ? "dev " + metric.title() : "train loss"),
                    "step",
                    dev ? "dev " + metric.title() : "train loss",
                    {},
                    false,
                    false,
                    {}};
    for (const std::size_t r : rows) {
      const TableCell& cell = table.cells[r][column];
      Series series{table.rows[r].name(), {}, points(mean_curve(cell.curves), dev, scale)};
      if (cell.seeds > 0) series.label += fmt::format(" | lr {:g}", cell.learning_rate);
      for (const Curve& curve : cell.curves) {
        if (cell.curves.size() > 1) series.repeats.push_back(points(curve, dev, scale));
      }
      chart.series.push_back(std::move(series));
    }
    chart.log_y = !dev && spans_decades(chart.series);
    figures.push_back({fmt::format("learning_curves_{}_{}", file_name(task), dev ? "dev" : "train"), "Learning curves",
                       caption, draw_lines(chart)});
  }
}

}  // namespace

std::vector<Figure> make_figures(const ResultTable& table) {
  std::vector<Figure> figures;
  for (const auto add : {add_layer_weights, add_metric_by_layer, add_learning_curves}) {
    for (std::size_t column = 0; column < table.columns.size(); ++column) add(table, column, figures);
  }
  return figures;
}

}  // namespace strata

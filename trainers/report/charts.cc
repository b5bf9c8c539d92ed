#include "trainers/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace strata {
namespace {

constexpr double kTextWidth = 6.6;  // of a letter at 12 px, on the large side
const StrokeStyle kGrid{"currentColor", 1, 0.15, ""};

/// Okabe and Ito's colours, their yellow and black replaced by ones that show on white and on black.
constexpr std::array<const char*, 8> kColours = {"#1a85c4", "#d55e00", "#009e73", "#cc79a7",
                                                 "#56b4e9", "#e69f00", "#8c6bb1", "#888888"};
constexpr std::array<const char*, 3> kDashes = {"", "7 3", "2 3"};

StrokeStyle series_style(std::size_t index, double width, double opacity) {
  return {kColours[index % kColours.size()], width, opacity, kDashes[index / kColours.size() % kDashes.size()]};
}

double text_width(const std::string& text) {
  const auto letters =
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  return kTextWidth * static_cast<double>(letters);
}

std::string tick_text(double value) { return fmt::format("{:.6g}", std::abs(value) < 1e-12 ? 0.0 : value); }

/// Where values lie on a line of pixels.
struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  bool log = false;
  double from = 0, to = 1;  // pixels of low and high
  std::vector<double> ticks;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double place(double value) const {
    const auto scaled = [this](double v) { return log ? std::log10(v) : v; };
    return from + (to - from) * (scaled(value) - scaled(low)) / (scaled(high) - scaled(low));
  }
  void choose_ticks(int count) {
    if (low > high) low = log ? 1 : 0, high = log ? 10 : 1;  // nothing was taken
    if (low == high) {
      const double margin = low == 0 ? 1 : 0.1 * std::abs(low);
      low -= margin;
      high += margin;
    }
    if (log) {
      for (double power = std::pow(10, std::floor(std::log10(low))); power < 10 * high; power *= 10) {
        for (const double factor : {1.0, 2.0, 5.0}) ticks.push_back(power * factor);
      }
      low = *std::prev(std::upper_bound(ticks.begin(), ticks.end(), low * 1.0001));
      high = *std::lower_bound(ticks.begin(), ticks.end(), high * 0.9999);
      std::erase_if(ticks, [&](double t) { return t < low * 0.999 || t > high * 1.001; });
    } else {
      ticks = round_ticks(low, high, count);
      low = std::min(low, ticks.front());
      high = std::max(high, ticks.back());
    }
  }
};

template <class Use>
void for_each_point(const LineChart& chart, Use use) {
  for (const Series& series : chart.series) {
    for (const auto& line : series.repeats) std::for_each(line.begin(), line.end(), use);
    std::for_each(series.mean.begin(), series.mean.end(), use);
  }
}

bool drawable(const Point& p, bool log_y) { return std::isfinite(p.x) && std::isfinite(p.y) && (!log_y || p.y > 0); }

struct Frame {
  double left = 64, top = 34, width = 420, height = 240;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

void draw_axes(Svg& svg, const LineChart& chart, const Frame& frame, const Axis& x, const Axis& y) {
  for (const double tick : y.ticks) {
    svg.line({frame.left, y.place(tick)}, {frame.right(), y.place(tick)}, kGrid);
    svg.text({frame.left - 7, y.place(tick) + 4}, tick_text(tick), {"end"});
  }
  for (const double tick : x.ticks) {
    const std::string name = chart.x_names.empty() ? tick_text(tick) : chart.x_names[static_cast<std::size_t>(tick)];
    svg.line({x.place(tick), frame.bottom()}, {x.place(tick), frame.bottom() + 4}, {});
    svg.text({x.place(tick), frame.bottom() + 18}, name, {"middle"});
  }
  svg.line({frame.left, frame.bottom()}, {frame.right(), frame.bottom()}, {});
  svg.text({frame.left, 18}, chart.title, {"start", "currentColor", 14});
  svg.text({frame.left + frame.width / 2, frame.bottom() + 36}, chart.x_label, {"middle"});
  svg.text({16, frame.top + frame.height / 2}, chart.y_label, {"middle", "currentColor", 12, -90});
}

void draw_series(Svg& svg, const LineChart& chart, std::size_t index, const Axis& x, const Axis& y) {
  const auto placed = [&](const std::vector<Point>& line) {
    std::vector<Point> points;
    for (const Point& p : line) {
      if (drawable(p, y.log)) points.push_back({x.place(p.x), y.place(p.y)});
    }
    return points;
  };
  const Series& series = chart.series[index];
  for (const auto& line : series.repeats) svg.polyline(placed(line), series_style(index, 1, 0.55));
  const std::vector<Point> mean = placed(series.mean);
  svg.polyline(mean, series_style(index, 2.4, 1));
  for (const Point& p : mean) {
    if (chart.markers || mean.size() == 1) svg.circle(p, 3.5, series_style(index, 1, 1).colour);
  }
}

Axis names_axis(const LineChart& chart) {
  Axis x;
  x.low = 0;
  x.high = std::max(1.0, static_cast<double>(chart.x_names.size()) - 1);
  const std::size_t step = 1 + chart.x_names.size() / 17;  // names do not run into each other
  for (std::size_t i = 0; i < chart.x_names.size(); i += step) x.ticks.push_back(static_cast<double>(i));
  return x;
}

constexpr std::array<std::array<double, 3>, 9> kViridis = {{{68, 1, 84},
                                                            {71, 44, 122},
                                                            {59, 81, 139},
                                                            {44, 113, 142},
                                                            {33, 144, 141},
                                                            {39, 173, 129},
                                                            {92, 200, 99},
                                                            {170, 220, 50},
                                                            {253, 231, 37}}};

}  // namespace

std::string viridis(double position) {
  const double scaled = std::clamp(position, 0.0, 1.0) * (kViridis.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(scaled), kViridis.size() - 2);
  const double part = scaled - static_cast<double>(below);
  std::string colour = "#";
  for (std::size_t c = 0; c < 3; ++c) {
    colour += fmt::format(
        "{:02x}", static_cast<int>(std::lround((1 - part) * kViridis[below][c] + part * kViridis[below + 1][c])));
  }
  return colour;
}

std::vector<double> round_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough * 0.999) step = factor * power;
  }
  std::vector<double> ticks;
  const auto first = static_cast<std::int64_t>(std::floor(low / step + 1e-9)),
             last = static_cast<std::int64_t>(std::ceil(high / step - 1e-9));
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

Svg draw_lines(const LineChart& chart) {
  Axis x = chart.x_names.empty() ? Axis() : names_axis(chart), y;
  y.log = chart.log_y;
  for_each_point(chart, [&](const Point& p) {
    if (!drawable(p, y.log)) return;
    if (chart.x_names.empty()) x.take(p.x);
    y.take(p.y);
  });
  if (chart.x_names.empty()) x.choose_ticks(5);
  y.choose_ticks(5);
  const Frame frame;
  x.from = frame.left + (chart.markers ? 12 : 0);
  x.to = frame.right() - (chart.markers ? 12 : 0);
  y.from = frame.bottom();
  y.to = frame.top;
  double widest = 0;
  for (const Series& series : chart.series) widest = std::max(widest, text_width(series.label));
  const double legend_top = frame.bottom() + 54;
  Svg svg(std::max(frame.right() + 24, frame.left + 36 + widest),
          legend_top + 20 * static_cast<double>(chart.series.size()), chart.title);
  draw_axes(svg, chart, frame, x, y);
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    draw_series(svg, chart, s, x, y);
    const double place = legend_top + 20 * static_cast<double>(s);
    svg.line({frame.left, place}, {frame.left + 26, place}, series_style(s, 2.4, 1));
    svg.text({frame.left + 34, place + 4}, chart.series[s].label, {});
  }
  return svg;
}

Svg draw_heat_map(const HeatMap& map) {
  double highest = 0, widest = 40;
  for (const auto& row : map.values) {
    for (const double v : row) highest = std::isfinite(v) ? std::max(highest, v) : highest;
  }
  for (const std::string& row : map.rows) widest = std::max(widest, text_width(row));
  constexpr double kCellWidth = 46, kCellHeight = 26, kTop = 34;
  const double left = widest + 14, width = kCellWidth * static_cast<double>(map.columns.size()),
               bottom = kTop + kCellHeight * static_cast<double>(map.rows.size());
  Svg svg(std::max(left + width, left + 260) + 20, bottom + 92, map.title);
  svg.text({0, 18}, map.title, {"start", "currentColor", 14});
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const double y = kTop + kCellHeight * static_cast<double>(r);
    svg.text({left - 8, y + kCellHeight / 2 + 4}, map.rows[r], {"end"});
    for (std::size_t c = 0; c < map.values[r].size(); ++c) {
      const double value = map.values[r][c], x = left + kCellWidth * static_cast<double>(c);
      if (!std::isfinite(value)) continue;
      const double position = highest > 0 ? value / highest : 0;
      svg.rectangle({x, y}, kCellWidth - 1, kCellHeight - 1, viridis(position),
                    fmt::format("{}, {}: {:.4f}", map.rows[r], map.columns[c], value));
      svg.text({x + kCellWidth / 2, y + kCellHeight / 2 + 4}, fmt::format("{:.2f}", value),
               {"middle", position > 0.6 ? "#000000" : "#ffffff", 11});
    }
  }
  for (std::size_t c = 0; c < map.columns.size(); ++c)
    svg.text({left + kCellWidth * (static_cast<double>(c) + 0.5), bottom + 16}, map.columns[c], {"middle"});
  svg.text({left + width / 2, bottom + 34}, map.x_label, {"middle"});
  constexpr int kSteps = 60;
  for (int i = 0; i < kSteps; ++i)
    svg.rectangle({left + 3.0 * i, bottom + 50}, 3.3, 12, viridis(static_cast<double>(i) / (kSteps - 1)));
  svg.text({left, bottom + 78}, "0", {"middle"});
  svg.text({left + 3.0 * kSteps, bottom + 78}, fmt::format("{:.2f}", highest), {"middle"});
  svg.text({left + 3.0 * kSteps + 10, bottom + 60}, map.value_label, {});
  return svg;
}

}  // namespace strata

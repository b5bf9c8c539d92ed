#pragma once

#include <string>
#include <vector>

#include "trainers/report/svg.h"

namespace strata {

/// One line of the legend: repeats of a measurement, drawn thin, and their mean, drawn thick. Points that are not
/// finite are left out.
struct Series {
  std::string label;
  std::vector<std::vector<Point>> repeats;
  std::vector<Point> mean;
};

struct LineChart {
  std::string title;
  std::string x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;
  bool markers = false;              // a dot at each point of the mean
  std::vector<std::string> x_names;  // names of x = 0, 1, ..: ticks are there and nowhere else; empty: numbers
};

/// Colours of Okabe and Ito, told apart by colour-blind readers; from the ninth series on with dashes.
Svg draw_lines(const LineChart& chart);

struct HeatMap {
  std::string title;
  std::string x_label, value_label;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;  // by row, column; NaN: no cell
};

/// Colours from 0 to the highest value along viridis (dark blue to yellow), with a legend; numbers in the cells.
Svg draw_heat_map(const HeatMap& map);

/// The colour of viridis at `position` in [0, 1]: "#440154" to "#fde725".
std::string viridis(double position);

/// Round values (1, 2 or 5 times a power of ten apart) that cover [low, high] with about `count` steps.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace strata

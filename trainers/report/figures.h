#pragma once

#include <string>
#include <vector>

#include "trainers/report/svg.h"
#include "trainers/report/table.h"

namespace strata {

struct Figure {
  std::string name;     // of its file: "learning_curves_sid_dev"
  std::string section;  // what it is shown under: "Learning curves"
  std::string caption;
  Svg svg;
};

/// Per task, as far as there is something to show: learned layer weights (heat map), metric by layer (of `single_layer`
/// trials), dev metric and train loss by step. Call read_curves first.
std::vector<Figure> make_figures(const ResultTable& table);

}  // namespace strata

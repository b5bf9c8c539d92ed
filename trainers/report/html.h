#pragma once

#include <string>
#include <vector>

#include "trainers/report/figures.h"
#include "trainers/report/results.h"
#include "trainers/report/table.h"

namespace strata {

/// One page with everything inside: styles, table, warnings, figures as SVG. No scripts; every tag is closed.
std::string html_report(const StudyResults& results, const ResultTable& table, const std::vector<Figure>& figures);

}  // namespace strata

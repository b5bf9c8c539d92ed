#pragma once

#include <string>

#include "trainers/report/results.h"
#include "trainers/report/table.h"

namespace strata {

/// What stands under the table, whatever the format.
inline constexpr const char* kTableNote =
    "Test results of the checkpoint that is best on dev, at the learning rate that is best on dev by the mean over "
    "seeds; "
    "mean ± sample standard deviation over seeds where there are several. ! marks a best learning rate at the edge of "
    "its "
    "grid, ↗ a dev curve that still improves at the last step.";

/// Markdown: how far the study is, the table, warnings.
std::string markdown_report(const StudyResults& results, const ResultTable& table);

/// One line per row and task: upstream, interface, task, metric, mean, spread, seeds, learning_rate, edge,
/// still_improving, trials, unfinished. Mean and spread as measured, not times 100. RFC 4180.
std::string table_csv(const ResultTable& table);

/// A booktabs table (\usepackage{booktabs}); the best of each column is bold.
std::string table_latex(const ResultTable& table);

}  // namespace strata

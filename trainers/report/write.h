#pragma once

#include <filesystem>
#include <string>

#include "trainers/report/results.h"

namespace strata {

/// The files' contents, for printing.
struct ReportTexts {
  std::string markdown, csv, latex, html;
};

/// Writes report.md, report.html, table.csv, table.tex and each figure as .svg into `folder`. Throws DataError.
ReportTexts write_report(const StudyResults& results, const std::filesystem::path& folder);

}  // namespace strata

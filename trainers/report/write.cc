#include "trainers/report/write.h"

#include "core/base/file.h"
#include "trainers/report/curves.h"
#include "trainers/report/figures.h"
#include "trainers/report/formats.h"
#include "trainers/report/html.h"
#include "trainers/report/table.h"

namespace strata {

ReportTexts write_report(const StudyResults& results, const fs::path& folder) {
  ResultTable table = make_table(results);
  read_curves(table);
  const std::vector<Figure> figures = make_figures(table);
  const ReportTexts texts{markdown_report(results, table), table_csv(table), table_latex(table),
                          html_report(results, table, figures)};
  write_file_atomically(folder / "report.md", texts.markdown);
  write_file_atomically(folder / "report.html", texts.html);
  write_file_atomically(folder / "table.csv", texts.csv);
  write_file_atomically(folder / "table.tex", texts.latex);
  for (const Figure& figure : figures) write_file_atomically(folder / (figure.name + ".svg"), figure.svg.file());
  return texts;
}

}  // namespace strata

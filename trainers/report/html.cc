#include "trainers/report/html.h"

#include <fmt/format.h>

#include "trainers/report/formats.h"
#include "trainers/report/svg.h"

namespace strata {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1d2329; --soft: #5b6570; --back: #ffffff; --box: #f4f6f8; --line: #d5dae0; --mark: #9a5b00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ec; --soft: #9aa5b1; --back: #14181c; --box: #1d2329; --line: #37404a; --mark: #f0b35a; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
p { margin: .4rem 0; }
.soft { color: var(--soft); font-size: .9rem; max-width: 60rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; white-space: nowrap; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--text); }
th.number, td.number { text-align: right; padding: .35rem .5rem .35rem 1.5rem; }
tbody th { font-weight: 600; }
td small { display: block; color: var(--soft); }
.mark { color: var(--mark); font-weight: 700; }
.warnings { background: var(--box); border-left: 4px solid var(--mark); padding: .6rem 1rem .6rem 2rem; margin: 1rem 0; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
figure { margin: 0; overflow-x: auto; }
figcaption { color: var(--soft); font-size: .85rem; max-width: 32rem; }
svg { max-width: 100%; height: auto; }
@media (max-width: 40rem) { svg { max-width: none; } }
)";

std::string html_cell(const TableCell& cell, const ResultMetric& metric) {
  if (cell.seeds == 0) return "<td class=\"number\">–</td>";
  const std::string value = escape_markup(value_text(cell, metric));
  std::string marks;
  if (!cell.edge.empty())
    marks += fmt::format(" <span class=\"mark\" title=\"the {} learning rate of its grid\">!</span>", cell.edge);
  if (cell.still_improving) marks += " <span class=\"mark\" title=\"dev still improves at the last step\">↗</span>";
  return fmt::format("<td class=\"number\">{}{}<small>lr {:g}, {} seed{}</small></td>",
                     cell.best ? "<strong>" + value + "</strong>" : value, marks, cell.learning_rate, cell.seeds,
                     cell.seeds == 1 ? "" : "s");
}

std::string html_table(const ResultTable& table) {
  std::string html = "<div class=\"scroll\"><table>\n<thead><tr><th>upstream</th><th>interface</th>";
  for (const TableColumn& column : table.columns) {
    html += fmt::format("<th class=\"number\">{}<br />{}</th>", escape_markup(column.task),
                        escape_markup(column.metric.title()));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const bool same = r > 0 && table.rows[r].upstream == table.rows[r - 1].upstream;
    html += fmt::format("<tr><th>{}</th><td>{}</td>", same ? "" : escape_markup(table.rows[r].upstream),
                        escape_markup(table.rows[r].interface));
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      html += html_cell(table.cells[r][c], table.columns[c].metric);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string html_figures(const std::vector<Figure>& figures) {
  std::string html, section;
  for (const Figure& figure : figures) {
    if (figure.section != section) {
      html +=
          fmt::format("{}<h2>{}</h2>\n<p class=\"soft\">{}</p>\n<div class=\"figures\">\n",
                      section.empty() ? "" : "</div>\n", escape_markup(figure.section), escape_markup(figure.caption));
      section = figure.section;
    }
    html += fmt::format("<figure>\n{}</figure>\n", figure.svg.element());
  }
  return section.empty() ? "" : html + "</div>\n";
}

}  // namespace

std::string html_report(const StudyResults& results, const ResultTable& table, const std::vector<Figure>& figures) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\" />\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n<p>{}</p>\n",
      escape_markup(results.name), kStyle, escape_markup(results.name), escape_markup(progress_text(results)));
  html +=
      "<h2>Results</h2>\n" + html_table(table) + fmt::format("<p class=\"soft\">{}</p>\n", escape_markup(kTableNote));
  const std::vector<std::string> warnings = table_warnings(results, table);
  if (!warnings.empty()) {
    html += "<ul class=\"warnings\">\n";
    for (const std::string& warning : warnings) html += fmt::format("<li>{}</li>\n", escape_markup(warning));
    html += "</ul>\n";
  }
  html += html_figures(figures);
  std::string origin;
  for (const auto& [key, value] : results.provenance.items()) {
    origin += fmt::format("{}{} {}", origin.empty() ? "" : " · ", key,
                          value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (!origin.empty())
    html += fmt::format("<h2>Where it comes from</h2>\n<p class=\"soft\">{}</p>\n", escape_markup(origin));
  return html + "</body>\n</html>\n";
}

}  // namespace strata

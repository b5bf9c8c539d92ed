#include "trainers/report/formats.h"

#include <fmt/format.h>

#include <string_view>

namespace strata {
namespace {

/// "lr 0.001 ! ↗"
std::string detail_text(const TableCell& cell) {
  std::string text = fmt::format("lr {:g}", cell.learning_rate);
  if (!cell.edge.empty()) text += " !";
  if (cell.still_improving) text += " ↗";
  return text;
}

std::string markdown_text(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

std::string latex_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\textbackslash{}";
    } else if (c == '~' || c == '^') {
      out += std::string("\\") + c + "{}";
    } else if (c == '|') {
      out += "\\textbar{}";
    } else if (std::string_view("&%$#_{}").find(c) != std::string_view::npos) {
      out += std::string("\\") + c;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string markdown_report(const StudyResults& results, const ResultTable& table) {
  std::string text = fmt::format("# {}\n\n{}\n\n| upstream | interface |", results.name, progress_text(results));
  std::string rule = "\n| --- | --- |";
  for (const TableColumn& column : table.columns) {
    text += fmt::format(" {} {} |", markdown_text(column.task), column.metric.title());
    rule += " ---: |";
  }
  text += rule + "\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    text += fmt::format("| {} | {} |", markdown_text(table.rows[r].upstream), markdown_text(table.rows[r].interface));
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const TableCell& cell = table.cells[r][c];
      const std::string value = value_text(cell, table.columns[c].metric);
      text += fmt::format(" {}{} |", cell.best ? "**" + value + "**" : value,
                          cell.seeds == 0 ? "" : " (" + detail_text(cell) + ")");
    }
    text += "\n";
  }
  text += fmt::format("\n{}\n", kTableNote);
  const std::vector<std::string> warnings = table_warnings(results, table);
  if (!warnings.empty()) text += "\n";
  for (const std::string& warning : warnings) text += "- " + warning + "\n";
  return text;
}

std::string table_csv(const ResultTable& table) {
  std::string csv =
      "upstream,interface,task,metric,mean,spread,seeds,learning_rate,edge,still_improving,trials,unfinished\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const TableCell& cell = table.cells[r][c];
      if (cell.trials == 0) continue;
      csv += fmt::format("{},{},{},{}", csv_field(table.rows[r].upstream), csv_field(table.rows[r].interface),
                         csv_field(table.columns[c].task), table.columns[c].metric.name);
      if (cell.seeds > 0) {
        csv += fmt::format(",{},{},{},{},{},{}", cell.mean, cell.spread, cell.seeds, cell.learning_rate, cell.edge,
                           cell.still_improving);
      } else {
        csv += ",,,0,,,";
      }
      csv += fmt::format(",{},{}\n", cell.trials, cell.unfinished);
    }
  }
  return csv;
}

std::string table_latex(const ResultTable& table) {
  std::string tex = "% needs \\usepackage{booktabs}\n\\begin{tabular}{ll" + std::string(table.columns.size(), 'r') +
                    "}\n\\toprule\nupstream & interface";
  for (const TableColumn& column : table.columns) {
    tex +=
        fmt::format(" & {} {}{} ${}$", latex_text(column.task), latex_text(column.metric.name),
                    column.metric.percent ? " \\%" : "", column.metric.higher_is_better ? "\\uparrow" : "\\downarrow");
  }
  tex += " \\\\\n\\midrule\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const bool same = r > 0 && table.rows[r].upstream == table.rows[r - 1].upstream;
    tex += fmt::format("{} & {}", same ? "" : latex_text(table.rows[r].upstream), latex_text(table.rows[r].interface));
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const TableCell& cell = table.cells[r][c];
      const double scale = table.columns[c].metric.scale();
      std::string value = cell.seeds == 0 ? "--" : fmt::format("{:.2f}", cell.mean * scale);
      if (cell.best) value = "\\textbf{" + value + "}";
      if (cell.seeds > 1) value += fmt::format(" {{\\small $\\pm$ {:.2f}}}", cell.spread * scale);
      tex += " & " + value;
    }
    tex += " \\\\\n";
  }
  return tex + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace strata

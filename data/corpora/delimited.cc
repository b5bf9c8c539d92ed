#include "data/corpora/delimited.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "data/manifest/json_lines.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

DelimitedRows read_tabbed(std::string_view content) {
  DelimitedRows rows;
  for_each_line(content, [&](std::int64_t line, std::string_view text) {
    DelimitedRow row{line, {}};
    for (;;) {
      const std::size_t tab = text.find('\t');
      row.cells.emplace_back(text.substr(0, tab));
      if (tab == std::string_view::npos) break;
      text.remove_prefix(tab + 1);
    }
    rows.push_back(std::move(row));
  });
  return rows;
}

/// Reads RFC 4180 cell by cell.
class CsvScanner {
 public:
  CsvScanner(std::string_view text, const fs::path& path) : text_(text), path_(path) {}

  DelimitedRows rows() {
    DelimitedRows all;
    while (at_ < text_.size()) {
      DelimitedRow row{line_, {}};
      do {
        row.cells.push_back(cell());
      } while (accept(','));
      end_line();
      if (row.cells.size() > 1 || !row.cells.front().empty()) all.push_back(std::move(row));
    }
    return all;
  }

 private:
  std::string_view text_;
  const fs::path& path_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;

  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void end_line() {
    accept('\r');
    if (at_ < text_.size() && !accept('\n')) {
      throw ConfigError(fmt::format("{}: text after the closing quote of a cell", place_of(path_, line_)));
    }
    ++line_;
  }

  std::string cell() {
    if (accept('"')) return quoted();
    const std::size_t first = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_.substr(at_, 2) != "\r\n") ++at_;
    return std::string(text_.substr(first, at_ - first));
  }

  std::string quoted() {
    const std::int64_t first_line = line_;
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"' && !accept('"')) return value;
      if (c == '\n') ++line_;
      value += c;
    }
    throw ConfigError(fmt::format("{}: a quote that does not end", place_of(path_, first_line)));
  }
};

}  // namespace

DelimitedRows read_delimited(const fs::path& path) {
  const std::string content = read_lines_file(path);
  std::string_view text = content;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return path.extension() == ".tsv" ? read_tabbed(text) : CsvScanner(text, path).rows();
}

double parse_seconds(std::string_view text, std::string_view what, const std::string& place) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0) {
    throw ConfigError(fmt::format("{}: {} is \"{}\", but must be a number of seconds", place, what, text));
  }
  return value;
}

std::vector<std::string> split_words(std::string_view line, std::size_t most) {
  constexpr std::string_view kBlank = " \t";
  std::vector<std::string> words;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    if (line.empty()) return words;
    if (words.size() + 1 == most) {
      words.emplace_back(line.substr(0, line.find_last_not_of(kBlank) + 1));
      return words;
    }
    const std::size_t end = std::min(line.find_first_of(kBlank), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace strata

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

struct DelimitedRow {
  std::int64_t line = 0;  // of the file, on which the row starts
  std::vector<std::string> cells;
};
using DelimitedRows = std::vector<DelimitedRow>;

/// Reads a table: tab-separated without quoting if the name ends in `.tsv`, else comma-separated as RFC 4180 says (a
/// cell in double quotes may hold commas, line ends and doubled quotes). Empty lines are skipped; a byte order mark
/// too. Throws ConfigError with file and line for a quote that does not end or text after one.
DelimitedRows read_delimited(const std::filesystem::path& path);

/// A time in seconds, at least 0. Throws ConfigError that names `place` and `what`.
double parse_seconds(std::string_view text, std::string_view what, const std::string& place);

/// The words of a line, parted by blanks and tabs, at most `most`: the last holds the rest of the line as it is.
std::vector<std::string> split_words(std::string_view line, std::size_t most);

}  // namespace strata

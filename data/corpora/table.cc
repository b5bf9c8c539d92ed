#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "data/corpora/corpus.h"
#include "data/corpora/delimited.h"
#include "data/corpora/splits.h"
#include "data/manifest/json_lines.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct TableOptions : SplitOptions {
  std::string audio_root;
  void fields(Fields& f) {
    f.text("audio_root", audio_root, "folder that audio paths start from; empty: that of the table");
    SplitOptions::fields(f);
  }
};

/// A table of utterances: `--source` is a CSV (RFC 4180: fields may be quoted) or TSV file (by its name's ending; no
/// quoting), or a folder that holds exactly one. The first line names the columns: `id` and `audio`, perhaps `offset`
/// and `duration` in seconds; `slots`, `word_slots`, `segments` and `alignment` hold JSON; any other column becomes a
/// field of that name, as text. An empty cell means that the utterance has no such field.
class Table : public CorpusPreparer {
 public:
  explicit Table(TableOptions options) : options_(std::move(options)) {}

  CorpusDraft prepare(const fs::path& source) const override {
    const fs::path file = table_file(source);
    DelimitedRows rows = read_delimited(file);
    if (rows.empty())
      throw ConfigError(fmt::format("{}: is empty; the first line must name the columns", file.string()));
    const std::vector<std::string> columns = rows.front().cells;
    check_columns(columns, file);
    CorpusDraft draft;
    draft.name = file.stem().string();
    draft.version = "1";
    const fs::path root = options_.audio_root.empty() ? file.parent_path() : fs::path(options_.audio_root);
    for (std::size_t i = 1; i < rows.size(); ++i) {
      draft.utterances.push_back(to_utterance(columns, rows[i], root, place_of(file, rows[i].line)));
    }
    fill_durations(draft);
    assign_splits(draft, options_);
    return draft;
  }

 private:
  TableOptions options_;

  static fs::path table_file(const fs::path& source) {
    if (fs::is_regular_file(source)) return source;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(source)) {
      const std::string ending = entry.path().extension();
      if (ending == ".csv" || ending == ".tsv") found.push_back(entry.path());
    }
    if (found.size() != 1) {
      throw ConfigError(fmt::format("{}: holds {} files *.csv and *.tsv; give the one that is meant as the source",
                                    source.string(), found.size()));
    }
    return found.front();
  }

  static void check_columns(const std::vector<std::string>& columns, const fs::path& file) {
    std::set<std::string> seen;
    for (const std::string& column : columns) {
      if (column.empty()) throw ConfigError(fmt::format("{}: a column has no name", place_of(file, 1)));
      if (!seen.insert(column).second) {
        throw ConfigError(fmt::format("{}: two columns are named \"{}\"", place_of(file, 1), column));
      }
    }
    for (const char* needed : {"id", "audio"}) {
      if (!seen.contains(needed))
        throw ConfigError(fmt::format("{}: there is no column \"{}\"", place_of(file, 1), needed));
    }
  }

  static Utterance to_utterance(const std::vector<std::string>& columns, const DelimitedRow& row, const fs::path& root,
                                const std::string& place) {
    if (row.cells.size() != columns.size()) {
      throw ConfigError(
          fmt::format("{}: {} cells, but the first line names {} columns", place, row.cells.size(), columns.size()));
    }
    Utterance u;
    u.place = place;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const std::string& column = columns[c];
      const std::string& cell = row.cells[c];
      static const std::set<std::string> structured = {"slots", "word_slots", "segments", "alignment"};
      if (cell.empty() && (column == "id" || column == "audio")) {
        throw ConfigError(fmt::format("{}: the column \"{}\" is empty", place, column));
      }
      if (cell.empty()) continue;
      if (column == "id") {
        u.id = cell;
      } else if (column == "audio") {
        u.audio = root / cell;
      } else if (column == "offset") {
        u.offset = parse_seconds(cell, column, place);
      } else if (column == "duration") {
        u.duration = parse_seconds(cell, column, place);
      } else {
        u.fields[column] = structured.contains(column) ? parse_json(cell, place + " \"" + column + "\"") : Json(cell);
      }
    }
    return u;
  }
};

STRATA_REGISTER_CORPUS("table", TableOptions, Table,
                       "own data from a CSV or TSV file with columns id, audio and any others");

}  // namespace
}  // namespace strata

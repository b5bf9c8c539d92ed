#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "core/base/error.h"
#include "data/corpora/corpus.h"
#include "data/corpora/delimited.h"
#include "data/corpora/splits.h"
#include "data/manifest/json_lines.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct KaldiOptions : SplitOptions {
  std::string audio_root;
  void fields(Fields& f) {
    f.text("audio_root", audio_root, "folder that the paths in wav.scp start from; empty: that of wav.scp");
    SplitOptions::fields(f);
  }
};

/// One line of a Kaldi table: a key and the rest.
struct Entry {
  std::string value;
  std::string place;
};
using Table = std::unordered_map<std::string, Entry>;

/// A Kaldi data directory: wav.scp (plain paths; no commands, no archives), and where they are there: segments, text,
/// utt2spk (`speaker`), utt2lang (`language`), spk2gender (`gender`). If the source has no wav.scp, each of its
/// sub-folders that has one is a part (train, dev, test), and its name is the split's.
class Kaldi : public CorpusPreparer {
 public:
  explicit Kaldi(KaldiOptions options) : options_(std::move(options)) {}

  CorpusDraft prepare(const fs::path& source) const override {
    CorpusDraft draft;
    draft.name = fs::absolute(source / "").lexically_normal().parent_path().filename().string();
    draft.version = "1";
    if (fs::exists(source / "wav.scp")) {
      add_folder(source, "", draft);
    } else {
      for (const fs::path& part : parts(source)) add_folder(part, part.filename().string(), draft);
    }
    fill_durations(draft);
    assign_splits(draft, options_);
    return draft;
  }

 private:
  KaldiOptions options_;

  static std::vector<fs::path> parts(const fs::path& source) {
    std::vector<fs::path> found;
    if (fs::is_directory(source)) {
      for (const auto& entry : fs::directory_iterator(source)) {
        if (fs::exists(entry.path() / "wav.scp")) found.push_back(entry.path());
      }
    }
    if (found.empty()) {
      throw ConfigError(
          fmt::format("{}: is no Kaldi data directory: neither it nor a sub-folder has a wav.scp", source.string()));
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  /// Calls `visit` with key, rest and place of each line; a line without a rest is an error unless `may_be_empty`.
  static void read_table(const fs::path& file, bool may_be_empty,
                         const std::function<void(const std::string&, Entry)>& visit) {
    std::unordered_map<std::string, std::int64_t> seen;
    for_each_line(read_lines_file(file), [&](std::int64_t line, std::string_view text) {
      const std::vector<std::string> words = split_words(text, 2);
      const std::string place = place_of(file, line);
      if (words.size() < 2 && !may_be_empty) {
        throw ConfigError(fmt::format("{}: nothing follows \"{}\"", place, words.front()));
      }
      const auto [first, added] = seen.emplace(words.front(), line);
      if (!added) {
        throw ConfigError(fmt::format("{}: \"{}\" was given already in line {}", place, words.front(), first->second));
      }
      visit(words.front(), {words.size() < 2 ? "" : words[1], place});
    });
  }

  static Table read_optional(const fs::path& file, bool may_be_empty = false) {
    Table table;
    if (!fs::exists(file)) return table;
    read_table(file, may_be_empty, [&](const std::string& key, Entry entry) { table.emplace(key, std::move(entry)); });
    return table;
  }

  void add_folder(const fs::path& folder, const std::string& part, CorpusDraft& draft) const {
    const std::size_t first = draft.utterances.size();
    const fs::path root = options_.audio_root.empty() ? folder : fs::path(options_.audio_root);
    std::unordered_map<std::string, Utterance> recordings;
    read_table(folder / "wav.scp", false, [&](const std::string& id, Entry entry) {
      Utterance u;
      u.id = id;
      u.audio = root / audio_path(entry);
      u.place = entry.place;
      if (fs::exists(folder / "segments")) {
        recordings.emplace(id, std::move(u));
      } else {
        draft.utterances.push_back(std::move(u));
      }
    });
    if (fs::exists(folder / "segments")) {
      read_table(folder / "segments", false, [&](const std::string& id, Entry entry) {
        draft.utterances.push_back(segment(id, entry, recordings));
      });
    }
    add_fields(folder, part, first, draft);
  }

  static std::string audio_path(const Entry& entry) {
    const std::string& value = entry.value;
    if (value.ends_with("|")) {
      throw ConfigError(
          fmt::format("{}: a command; Strata runs none: write its output to a file and name that", entry.place));
    }
    const std::size_t colon = value.rfind(':');
    if (colon != std::string::npos && value.find(".ark:") != std::string::npos) {
      throw ConfigError(
          fmt::format("{}: audio inside an archive; write each recording to a file of its own", entry.place));
    }
    return value;
  }

  static Utterance segment(const std::string& id, const Entry& entry,
                           const std::unordered_map<std::string, Utterance>& recordings) {
    const std::vector<std::string> words = split_words(entry.value, 4);
    if (words.size() != 3) {
      throw ConfigError(fmt::format("{}: expected <utterance> <recording> <start> <end>", entry.place));
    }
    const auto recording = recordings.find(words[0]);
    if (recording == recordings.end()) {
      throw ConfigError(fmt::format("{}: there is no recording \"{}\" in wav.scp", entry.place, words[0]));
    }
    Utterance u = recording->second;
    u.id = id;
    u.place = entry.place;
    u.offset = parse_seconds(words[1], "the start", entry.place);
    if (words[2] == "-1") return u;  // Kaldi's "to the end"
    const double end = parse_seconds(words[2], "the end", entry.place);
    if (end <= u.offset) {
      throw ConfigError(
          fmt::format("{}: the segment ends at {} s, not after its start at {} s", entry.place, end, u.offset));
    }
    u.duration = end - u.offset;
    return u;
  }

  /// Fields of the utterances from `first` on. An entry for an utterance that is not there is an error: such files do
  /// not belong together.
  static void add_fields(const fs::path& folder, const std::string& part, std::size_t first, CorpusDraft& draft) {
    std::unordered_map<std::string, Utterance*> by_id;
    for (std::size_t i = first; i < draft.utterances.size(); ++i) {
      by_id.emplace(draft.utterances[i].id, &draft.utterances[i]);
      if (!part.empty()) draft.utterances[i].fields[kPartField] = part;
    }
    const std::pair<const char*, const char*> files[] = {
        {"text", "text"}, {"utt2spk", "speaker"}, {"utt2lang", "language"}};
    for (const auto& [file, field] : files) {
      for (auto& [id, entry] : read_optional(folder / file, field == std::string("text"))) {
        const auto found = by_id.find(id);
        if (found == by_id.end()) {
          throw ConfigError(fmt::format("{}: there is no utterance \"{}\" in {}", entry.place, id,
                                        fs::exists(folder / "segments") ? "segments" : "wav.scp"));
        }
        found->second->fields[field] = entry.value;
      }
    }
    const Table genders = read_optional(folder / "spk2gender");
    for (auto& [id, u] : by_id) {
      const auto speaker = u->fields.find("speaker");
      if (speaker == u->fields.end()) continue;
      const auto gender = genders.find(speaker->get<std::string>());
      if (gender != genders.end()) u->fields["gender"] = gender->second.value;
    }
  }
};

STRATA_REGISTER_CORPUS("kaldi", KaldiOptions, Kaldi,
                       "own data from a Kaldi data directory, or one folder of them per split");

}  // namespace
}  // namespace strata

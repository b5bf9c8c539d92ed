#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// One line of a manifest.
struct Utterance {
  std::string id;
  std::filesystem::path audio;     // as to be opened: absolute, or resolved against the manifest's folder
  double offset = 0;               // seconds
  std::optional<double> duration;  // seconds; none: to the end of the file
  Json fields = Json::object();    // all other keys of the line, as they were
  std::string place;               // "utterances.jsonl line 12": for errors
};

/// A list of utterances of one task: `<task>.<name>.txt`, one id a line.
struct Split {
  std::string task;
  std::string name;  // may have dots: "fold1.train"
  std::filesystem::path path;
  std::vector<std::size_t> utterances;  // indices into Corpus::utterances(), in the order of the file
};

/// Reads a manifest of any name. Audio paths are relative to its folder; `offset` and `duration` become members and the
/// other keys stay in `fields`. With `check_audio`, all audio files must exist.
/// Throws ConfigError with file and line: not valid JSON; `id` or `audio` missing, empty or no string; an id with a
/// control character; a negative or non-number time; an id given twice (both lines); a missing audio file. Throws
/// ConfigError if there are no utterances.
std::vector<Utterance> read_manifest(const std::filesystem::path& path, bool check_audio = true);

/// One directory: `utterances.jsonl`, splits `<task>.<split>.txt`, and `manifest.json` (name, version, counts, hours,
/// SHA-256 of each file) as `write_corpus` leaves it. A directory written by hand needs no manifest.json. Immutable.
class Corpus {
 public:
  /// Reads and checks everything before work starts; 100,000 utterances take seconds, most of it asking for the audio.
  /// Throws ConfigError: what read_manifest throws; no such directory or no utterances.jsonl; a split that is empty,
  /// names an unknown id or one id twice (file and line); a file that manifest.json lists with another SHA-256 or that
  /// is not there; a directory whose writing was interrupted.
  static Corpus read(const std::filesystem::path& directory, bool check_audio = true);

  const std::filesystem::path& directory() const { return directory_; }
  /// From manifest.json, else the directory's name.
  const std::string& name() const { return name_; }
  const std::vector<Utterance>& utterances() const { return utterances_; }
  /// Sorted by file name.
  const std::vector<Split>& splits() const { return splits_; }
  bool has_split(const std::string& task, const std::string& name) const;
  /// Throws ConfigError that names the splits there are.
  const Split& split(const std::string& task, const std::string& name) const;
  /// Index of an utterance; none if there is no such id.
  std::optional<std::size_t> find(const std::string& id) const;
  /// manifest.json; an empty object where there is none.
  const Json& record() const { return record_; }
  /// SHA-256 by file name, of utterances.jsonl and of each split; those of the splits are part of a trial's id.
  const std::map<std::string, std::string>& hashes() const { return hashes_; }
  /// SHA-256 of all that the manifest says but where the audio lies: part of a trial's id.
  std::string content_hash() const;

 private:
  std::filesystem::path directory_;
  std::string name_;
  std::vector<Utterance> utterances_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<Split> splits_;
  Json record_ = Json::object();
  std::map<std::string, std::string> hashes_;

  void read_split(const std::filesystem::path& path);
  void check_hashes() const;
};

/// Throws ConfigError with file, line and id of the first utterance of the split that lacks `field` or has null there.
/// `who` needs it: "task sid".
void require_field(const Corpus& corpus, const Split& split, const std::string& field, const std::string& who);

}  // namespace strata

#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "data/manifest/manifest.h"

namespace strata {

/// A corpus about to be written.
struct CorpusDraft {
  std::string name;
  std::string version;
  std::vector<Utterance> utterances;
  std::map<std::string, std::vector<std::string>> splits;  // "sid.train" -> ids
  std::map<std::string, std::string> files;                // other files: "asv.test.pairs.jsonl" -> content
  Json notes = Json::object();                             // kept in manifest.json: what was skipped, and why
};

/// Checks the draft as a reader would (ids, splits, audio there) and writes the directory: utterances.jsonl and splits
/// each whole or not at all, manifest.json last; splits that were there before and are no more are removed. Until all
/// is written a file `unfinished` keeps readers out. The same draft gives the same bytes; an audio file below the
/// parent of `directory` is written as a path relative to `directory`, so that corpus and manifests move together,
/// others absolute. Returns the content of manifest.json. Throws ConfigError for a draft that is wrong, DataError if
/// writing fails.
Json write_corpus(const CorpusDraft& draft, const std::filesystem::path& directory);

}  // namespace strata

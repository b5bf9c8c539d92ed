#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest/manifest.h"

namespace strata {

/// Names of the files of a corpus directory, and the checks that reading and writing share.
inline constexpr const char* kManifestFile = "utterances.jsonl";
inline constexpr const char* kRecordFile = "manifest.json";
/// There while a corpus is being written.
inline constexpr const char* kUnfinishedFile = "unfinished";

/// `<task>.<split>.txt`, the task without a dot.
bool is_split_file(const std::filesystem::path& path);

/// Throws ConfigError with `place` if the id is empty, or holds a control character or blank at either end (splits are
/// lists of lines).
void check_id(const std::string& id, const std::string& place);

/// Throws ConfigError with both places if two utterances have one id.
void check_unique_ids(const std::vector<Utterance>& utterances);

/// Throws ConfigError with the place of the first utterance whose audio file is not there, and how many more there are.
void check_audio_files(const std::vector<Utterance>& utterances);

}  // namespace strata

#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/config/fields.h"
#include "trainers/study/study.h"

namespace strata {

/// The text under `key`. Throws ConfigError if it is not there or empty.
std::string require_text(FieldReader& reader, const char* key);

/// The corpora under the key `corpora` of a study; folders are relative to `root`. Throws ConfigError if there are
/// none, or what is wrong in one.
std::map<std::string, CorpusEntry> read_corpora(FieldReader& study, const std::filesystem::path& root);

/// Throws ConfigError unless `name`, a key under `reader`, can be the name of a folder.
void check_name(const FieldReader& reader, const std::string& name);

}  // namespace strata

#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/config/json.h"

namespace strata {

/// The text of a JSON object that is not empty, with, as its first member, the XXH3-64 of all text behind that: for the
/// files that tell what shards hold. A "checksum" that the object has is replaced.
///   indent  as for Json::dump
std::string sealed(Json json, int indent = -1);

/// False if the text of a file does not begin with a checksum, as those of older versions. Throws DataError that names
/// `path` if it does and that is another than that of the rest.
bool check_seal(std::string_view text, const std::filesystem::path& path);

/// What is thrown for a file that should have its checksum and has not.
[[noreturn]] void fail_seal(const std::filesystem::path& path);

}  // namespace strata

#pragma once

#include <filesystem>
#include <string>

#include "core/config/json.h"

namespace strata {

/// The text of a JSON object with, under "checksum", the XXH3-64 of what else it says: for the files that tell what
/// shards hold.
///   indent  as for Json::dump
std::string sealed(Json json, int indent = -1);

/// Takes the checksum out. False if there was none, as versions before it wrote. Throws DataError that names `path` if
/// it is another than that of the rest.
bool unseal(Json& json, const std::filesystem::path& path);

}  // namespace strata

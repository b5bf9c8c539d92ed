#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace strata {

/// JSON with sorted keys: `dump()` is canonical.
using Json = nlohmann::json;

/// Reads a JSON file; comments are refused. Throws ConfigError that names file, line and what is wrong.
Json read_json(const std::filesystem::path& path);

/// Parses one JSON text; `place` is named in the error (ConfigError).
Json parse_json(const std::string& text, const std::string& place);

}  // namespace strata

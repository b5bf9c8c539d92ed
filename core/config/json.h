#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

/// Compiled once, in json.cc: in every file that sees it, it would take a third of the time of compiling.
extern template class nlohmann::basic_json<>;

namespace strata {

/// JSON with sorted keys: `dump()` is canonical.
using Json = nlohmann::json;

/// Reads a JSON file; comments are refused. Throws ConfigError that names file, line and what is wrong.
Json read_json(const std::filesystem::path& path);

/// Parses one JSON text; `place` is named in the error (ConfigError). Nesting deeper than kDeepestJson is refused.
Json parse_json(const std::string& text, const std::string& place);

/// Copying, printing and comparing a Json value recurse, so that one nested without end would overflow the stack.
inline constexpr int kDeepestJson = 100;

/// How deep the lists and objects of a JSON text are nested, without parsing it.
int nesting_of(std::string_view text);

/// A value for an error message: its JSON text, cut after 200 characters.
std::string shown(const Json& value);

}  // namespace strata

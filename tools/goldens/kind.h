#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace strata {

/// Of which kind the fixtures in a folder are: its name where that is one of `known`; "upstreams", whatever its name,
/// if it is a model with its states (config.json and expected.safetensors) or holds such folders; else "".
std::string golden_kind(const std::filesystem::path& folder, const std::set<std::string>& known);

}  // namespace strata

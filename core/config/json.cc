#include "core/config/json.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {

Json parse_json(const std::string& text, const std::string& place) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(e.byte, text.size()));
    const std::string what = e.what();
    const std::size_t reason = what.rfind(": ");
    throw ConfigError(fmt::format("{}: not valid JSON at line {}: {}", place, 1 + std::count(text.begin(), end, '\n'),
                                  reason == std::string::npos ? what : what.substr(reason + 2)));
  }
}

Json read_json(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw ConfigError(fmt::format("{}: there is no such file", path.string()));
  }
  return parse_json(read_file(path), path.string());
}

}  // namespace strata

#include "core/config/json.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"

template class nlohmann::basic_json<>;

namespace strata {
namespace {

std::string cut(const std::string& text) {
  constexpr std::size_t kLongest = 200;
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
  return text.substr(0, end) + "..";
}

}  // namespace

int nesting_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return deepest;
}

std::string shown(const Json& value) { return cut(value.dump()); }

Json parse_json(const std::string& text, const std::string& place) {
  if (const int depth = nesting_of(text); depth > kDeepestJson) {
    throw ConfigError(fmt::format("{}: nested {} deep; at most {} is read", place, depth, kDeepestJson));
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(e.byte, text.size()));
    const std::string what = e.what();
    const std::size_t reason = what.rfind(": ");
    throw ConfigError(fmt::format("{}: not valid JSON at line {}: {}", place, 1 + std::count(text.begin(), end, '\n'),
                                  cut(reason == std::string::npos ? what : what.substr(reason + 2))));
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

#include "core/config/overrides.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace strata {
namespace {

Json parse_value(const std::string& text) {
  const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_discarded()) return value;
  if (text.find(',') == std::string::npos) return text;
  Json list = Json::array();
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    list.push_back(parse_value(text.substr(start, end - start)));
    start = end + 1;
  }
  return list;
}

}  // namespace

void apply_override(Json& object, const std::string& argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(fmt::format("\"{}\" is no override: write path.to.key=value, such as sweep.0.optimizer.learning_rate=1e-3,1e-2", argument));
  }
  Json* place = &object;
  const std::string path = argument.substr(0, equals);
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('.', start), path.size());
    const std::string key = path.substr(start, end - start);
    start = end + 1;
    if (place->is_array()) {
      const bool index = !key.empty() && key.find_first_not_of("0123456789") == std::string::npos && key.size() < 9;
      if (!index || std::stoul(key) >= place->size()) {
        throw ConfigError(fmt::format("override \"{}\": \"{}\" is not one of the {} entries of that list", argument, key, place->size()));
      }
      place = &(*place)[std::stoul(key)];
    } else if (place->is_object() || place->is_null()) {
      place = &(*place)[key];
    } else {
      throw ConfigError(fmt::format("override \"{}\": there is nothing below {}, so no \"{}\"", argument, place->dump(), key));
    }
  }
  *place = parse_value(argument.substr(equals + 1));
}

}  // namespace strata

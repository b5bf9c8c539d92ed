#include "core/metrics/ctc_decoding.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace strata {
namespace {

const std::string& name_of(std::int64_t id, const std::vector<std::string>& symbols) {
  if (id < 0 || id >= static_cast<std::int64_t>(symbols.size())) {
    throw DataError(fmt::format("CTC: symbol {} is not one of the {} of the vocabulary", id, symbols.size()));
  }
  return symbols[id];
}

}  // namespace

std::vector<std::int64_t> ctc_collapse(const std::vector<std::int64_t>& path,
                                       const std::vector<std::int64_t>& dropped) {
  std::vector<std::int64_t> kept;
  for (std::size_t t = 0; t < path.size(); ++t) {
    const bool repeat = t > 0 && path[t] == path[t - 1];
    if (!repeat && std::find(dropped.begin(), dropped.end(), path[t]) == dropped.end()) kept.push_back(path[t]);
  }
  return kept;
}

std::string spaced_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols) {
  std::string text;
  for (const std::int64_t id : ids) {
    if (!text.empty()) text += ' ';
    text += name_of(id, symbols);
  }
  return text;
}

std::string slot_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols) {
  std::string text;
  for (const std::int64_t id : ids) {
    const std::string& name = name_of(id, symbols);
    text += name.starts_with("B-") ? name + " " : name.starts_with("E-") ? " " + name : name;
  }
  return text;
}

std::string letter_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols) {
  std::string text;
  for (const std::int64_t id : ids) {
    const std::string& name = name_of(id, symbols);
    text += name == "|" ? " " : name;
  }
  return text;
}

}  // namespace strata

#include "tests/core/upstreams/mutator.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace strata {
namespace {

constexpr const char* kDeep = "@deep@";  // stands for nested lists, which no Json value can safely be

}  // namespace

// A number of 1, 2, 4 or 8 bytes from the edges of its type.
std::string Mutator::number() {
  const std::size_t width = std::size_t{1} << below(4);
  const std::uint64_t edges[] = {0,
                                 1,
                                 0x7F,
                                 0x80,
                                 0xFF,
                                 0x7FFF,
                                 0x8000,
                                 0xFFFF,
                                 0x7FFFFFFF,
                                 0x80000000,
                                 0xFFFFFFFF,
                                 0x7FFFFFFFFFFFFFFF,
                                 0x8000000000000000,
                                 0xFFFFFFFFFFFFFFFF,
                                 random_.next()};
  std::string text(width, '\0');
  std::memcpy(text.data(), &edges[below(std::size(edges))], width);
  return text;
}

std::string Mutator::bytes(std::string content, std::size_t first, std::size_t last) {
  for (std::uint64_t i = 1 + below(4); i > 0 && !content.empty(); --i) {
    last = std::min(last, content.size());
    if (first >= last) return content;
    const std::size_t at = first + below(last - first);
    const std::size_t some = std::min<std::size_t>(1 + below(16), content.size() - at);
    switch (below(8)) {
      case 0:
        content.resize(at);
        break;
      case 1:
        content.erase(at, some);
        break;
      case 2:
        content.insert(at, number());
        break;
      case 3:
        content.insert(at, content.substr(first + below(last - first), some));
        break;
      case 4: {
        const std::string value = number();
        content.replace(at, std::min(value.size(), content.size() - at), value);
        break;
      }
      case 5:
        content[at] = static_cast<char>(content[at] ^ (1 << below(8)));
        break;
      default:
        content[at] = static_cast<char>(random_.next());
    }
  }
  return content;
}

Json Mutator::odd_value() {
  const std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t small = below(70);
  const Json values[] = {nullptr,
                         true,
                         false,
                         -1,
                         0,
                         1,
                         2,
                         3,
                         7,
                         small,
                         -small,
                         1 << 20,
                         1LL << 31,
                         1LL << 40,
                         least,
                         most,
                         std::numeric_limits<std::uint64_t>::max(),
                         1e308,
                         -1e308,
                         1e-320,
                         0.5,
                         "",
                         "gelu",
                         "layer",
                         std::string(20000, 'x'),
                         "\n\t\"\xC3\xA9",
                         "../config.json",
                         "[2,1,2]",
                         "[[]]",
                         kDeep,
                         Json::array(),
                         Json::object(),
                         {1, 2},
                         std::vector<int>(500, 1),
                         {{"a", 1}}};
  return values[below(std::size(values))];
}

// Any value inside, itself included.
Json* Mutator::pick(Json& value) {
  Json* at = &value;
  while (at->is_structured() && !at->empty() && (at == &value || below(2) == 0)) {
    auto inner = at->begin();
    std::advance(inner, below(at->size()));
    at = &*inner;
  }
  return at;
}

void Mutator::change(Json& value) {
  Json& at = *pick(value);
  if (at.is_object() && !at.empty()) {
    auto item = at.begin();
    std::advance(item, below(at.size()));
    const std::string key = item.key();
    const Json moved = item.value();
    if (below(2) == 0) at[key + (below(2) ? "_" : "\n")] = moved;
    at.erase(key);
  } else if (at.is_number_integer() && below(2) == 0) {
    at = at.get<std::int64_t>() + static_cast<std::int64_t>(below(5)) - 2;
  } else if (below(6) == 0) {
    Json& other = *pick(value);
    const Json kept = other;  // one may hold the other
    at = kept;
  } else {
    at = odd_value();
  }
}

std::string Mutator::json(const std::string& content) {
  Json value = Json::parse(content);
  for (std::uint64_t i = 1 + below(3); i > 0; --i) change(value);
  std::string text = value.dump();
  const std::string mark = "\"" + std::string(kDeep) + "\"";
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
    const std::size_t depth = std::size_t{1} << below(18);
    text.replace(at, mark.size(), std::string(depth, '[') + (below(2) ? std::string(depth, ']') : ""));
  }
  return below(4) == 0 ? bytes(text) : text;
}

}  // namespace strata

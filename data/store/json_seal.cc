#include "data/store/json_seal.h"

#include <fmt/format.h>

#include <span>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace strata {
namespace {

constexpr std::string_view kBegin = "{\"checksum\":\"", kEnd = "\",";

std::string checksum_of(std::string_view text) { return fmt::format("{:016x}", xxh3(std::as_bytes(std::span(text)))); }

}  // namespace

std::string sealed(Json json, int indent) {
  json.erase("checksum");
  const std::string rest = json.dump(indent).substr(1) + "\n";
  return fmt::format("{}{}{}{}", kBegin, checksum_of(rest), kEnd, rest);
}

bool check_seal(std::string_view text, const std::filesystem::path& path) {
  if (!text.starts_with(kBegin)) return false;
  text.remove_prefix(kBegin.size());
  const std::size_t end = text.find(kEnd);
  if (end == text.npos || text.substr(0, end) != checksum_of(text.substr(end + kEnd.size()))) fail_seal(path);
  return true;
}

void fail_seal(const std::filesystem::path& path) {
  throw DataError(
      fmt::format("{}: what it says does not have its checksum: it is damaged, or was changed by hand; put "
                  "a copy of it back, or remove {} and extract anew",
                  path.string(), path.parent_path().string()));
}

}  // namespace strata

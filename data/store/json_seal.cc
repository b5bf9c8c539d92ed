#include "data/store/json_seal.h"

#include <fmt/format.h>

#include <span>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace strata {
namespace {

constexpr const char* kKey = "checksum";

/// Of the canonical text, so that it does not matter how the file is laid out.
std::string checksum_of(const Json& json) {
  const std::string text = json.dump();
  return fmt::format("{:016x}", xxh3(std::as_bytes(std::span(text))));
}

}  // namespace

std::string sealed(Json json, int indent) {
  json[kKey] = checksum_of(json);
  return json.dump(indent) + "\n";
}

bool unseal(Json& json, const std::filesystem::path& path) {
  if (!json.is_object() || !json.contains(kKey)) return false;
  const Json given = json[kKey];
  json.erase(kKey);
  if (given == checksum_of(json)) return true;
  throw DataError(
      fmt::format("{}: what it says does not have its checksum: it is damaged, or was changed by hand; put "
                  "a copy of it back, or remove {} and extract anew",
                  path.string(), path.parent_path().string()));
}

}  // namespace strata

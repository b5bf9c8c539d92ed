#include "core/config/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/base/nearest.h"

namespace strata {
namespace {

std::string describe(Range range) {
  const bool low = std::isfinite(range.lowest), high = std::isfinite(range.highest);
  if (low && high) return fmt::format("{} to {}", range.lowest, range.highest);
  if (low) return fmt::format("at least {}", range.lowest);
  if (high) return fmt::format("at most {}", range.highest);
  return "";
}

std::string with_range(const std::string& type, Range range) {
  const std::string allowed = describe(range);
  return allowed.empty() ? type : type + ", " + allowed;
}

}  // namespace

FieldReader::FieldReader(Json value, std::string file, std::string path)
    : value_(std::move(value)), file_(std::move(file)), path_(std::move(path)) {
  if (!value_.is_object()) {
    throw ConfigError(fmt::format("{} {}: expected an object, found {}", file_, path_.empty() ? "/" : path_, shown(value_)));
  }
}

void FieldReader::fail(const std::string& key, const std::string& message) const {
  throw ConfigError(fmt::format("{} {}{}: {}", file_, path_, key.empty() ? "" : "/" + key, message));
}

std::optional<Json> FieldReader::take(const char* key) {
  asked_.insert(key);
  const auto found = value_.find(key);
  if (found == value_.end()) return std::nullopt;
  used_.insert(key);
  return *found;
}

void FieldReader::number(const char* key, std::int64_t& value, const char*, Range range) {
  const auto found = take(key);
  if (!found) return;
  constexpr double kTooLarge = 0x1p63;
  const bool whole = found->is_number() && std::nearbyint(found->get<double>()) == found->get<double>() && std::abs(found->get<double>()) < kTooLarge;
  if (!whole || found->get<double>() < range.lowest || found->get<double>() > range.highest) {
    fail(key, fmt::format("{} is not allowed; takes {}", shown(*found), with_range("an integer", range)));
  }
  value = found->get<std::int64_t>();
}

void FieldReader::number(const char* key, double& value, const char*, Range range) {
  const auto found = take(key);
  if (!found) return;
  if (!found->is_number() || found->get<double>() < range.lowest || found->get<double>() > range.highest) {
    fail(key, fmt::format("{} is not allowed; takes {}", shown(*found), with_range("a number", range)));
  }
  value = found->get<double>();
}

void FieldReader::flag(const char* key, bool& value, const char*) {
  const auto found = take(key);
  if (!found) return;
  if (!found->is_boolean()) fail(key, fmt::format("{} is not allowed; takes true or false", shown(*found)));
  value = found->get<bool>();
}

void FieldReader::text(const char* key, std::string& value, const char*, std::vector<std::string> allowed) {
  const auto found = take(key);
  if (!found) return;
  if (!found->is_string()) fail(key, fmt::format("{} is not allowed; takes a string", shown(*found)));
  const std::string given = found->get<std::string>();
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), given) == allowed.end()) {
    fail(key, fmt::format("unknown value {}{} known: {}", shown(*found),
                          did_you_mean(given, allowed).empty() ? ";" : did_you_mean(given, allowed), fmt::join(allowed, ", ")));
  }
  value = given;
}

void FieldReader::numbers(const char* key, std::vector<std::int64_t>& value, const char*) {
  const auto found = take(key);
  if (!found) return;
  bool good = found->is_array();
  if (good) for (const Json& item : *found) good = good && item.is_number_integer();
  if (!good) fail(key, fmt::format("{} is not allowed; takes a list of integers", shown(*found)));
  value = found->get<std::vector<std::int64_t>>();
}

void FieldReader::numbers(const char* key, std::vector<double>& value, const char*) {
  const auto found = take(key);
  if (!found) return;
  bool good = found->is_array();
  if (good) for (const Json& item : *found) good = good && item.is_number();
  if (!good) fail(key, fmt::format("{} is not allowed; takes a list of numbers", shown(*found)));
  value = found->get<std::vector<double>>();
}

void FieldReader::texts(const char* key, std::vector<std::string>& value, const char*) {
  const auto found = take(key);
  if (!found) return;
  bool good = found->is_array();
  if (good) for (const Json& item : *found) good = good && item.is_string();
  if (!good) fail(key, fmt::format("{} is not allowed; takes a list of strings", shown(*found)));
  value = found->get<std::vector<std::string>>();
}

void FieldReader::index_or_name(const char* key, Json& value, const char* meaning) {
  const auto found = value_.find(key);
  if (found == value_.end() || found->is_number()) {
    std::int64_t index = value.is_number() ? value.get<std::int64_t>() : 0;
    number(key, index, meaning);
    if (found != value_.end()) value = index;
    return;
  }
  if (!found->is_string()) fail(key, fmt::format("{} is not allowed; takes an integer or a name", found->dump()));
  value = *take(key);
}

void FieldReader::json(const char* key, Json& value, const char*) {
  if (auto found = take(key)) value = std::move(*found);
}

std::vector<std::string> FieldReader::keys() const {
  std::vector<std::string> names;
  for (const auto& item : value_.items()) names.push_back(item.key());
  return names;
}

Json FieldReader::require(const std::string& key) {
  auto found = take(key.c_str());
  if (!found) fail(key, "this key is missing");
  return *std::move(found);
}

FieldReader FieldReader::child(const std::string& key) { return FieldReader(require(key), file_, path_ + "/" + key); }

void FieldReader::finish(const std::string& who) const {
  for (const auto& item : value_.items()) {
    if (used_.contains(item.key())) continue;
    const std::vector<std::string> known(asked_.begin(), asked_.end());
    const std::string hint = did_you_mean(item.key(), known);
    fail(item.key(), fmt::format("unknown key{} {} takes {}", hint.empty() ? ";" : hint, who,
                                 known.empty() ? "no options" : fmt::format("{}", fmt::join(known, ", "))));
  }
}

void FieldLister::number(const char* key, std::int64_t& value, const char* meaning, Range range) {
  fields.push_back({key, "integer", value, meaning, describe(range)});
}
void FieldLister::number(const char* key, double& value, const char* meaning, Range range) {
  fields.push_back({key, "number", value, meaning, describe(range)});
}
void FieldLister::flag(const char* key, bool& value, const char* meaning) {
  fields.push_back({key, "boolean", value, meaning, ""});
}
void FieldLister::text(const char* key, std::string& value, const char* meaning, std::vector<std::string> allowed) {
  fields.push_back({key, "string", value, meaning, fmt::format("{}", fmt::join(allowed, ", "))});
}
void FieldLister::numbers(const char* key, std::vector<std::int64_t>& value, const char* meaning) {
  fields.push_back({key, "array", value, meaning, "integers"});
}
void FieldLister::numbers(const char* key, std::vector<double>& value, const char* meaning) {
  fields.push_back({key, "array", value, meaning, "numbers"});
}
void FieldLister::texts(const char* key, std::vector<std::string>& value, const char* meaning) {
  fields.push_back({key, "array", value, meaning, "strings"});
}
void FieldLister::json(const char* key, Json& value, const char* meaning) {
  fields.push_back({key, "any", value, meaning, ""});
}

}  // namespace strata

#include "data/audio/effects/effect.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

namespace strata {
namespace {

/// A reader for each item of the list.
std::vector<FieldReader> readers(const Json& list, const std::string& file, const std::string& path) {
  if (!list.is_array()) {
    throw ConfigError(fmt::format("{} {}: expected a list of effects, found {}", file, path, list.dump()));
  }
  std::vector<FieldReader> all;
  for (std::size_t i = 0; i < list.size(); ++i) all.emplace_back(list[i], file, fmt::format("{}/{}", path, i));
  return all;
}

}  // namespace

Effects make_effects(const Json& list, const std::string& file, const std::string& path) {
  Effects effects;
  for (FieldReader& reader : readers(list, file, path)) effects.push_back(EffectRegistry::make(std::move(reader)));
  return effects;
}

Json resolve_effects(const Json& list, const std::string& file, const std::string& path) {
  Json resolved = Json::array();
  for (FieldReader& reader : readers(list, file, path)) resolved.push_back(EffectRegistry::resolve(std::move(reader)));
  return resolved;
}

std::vector<float> apply_effects(const Effects& effects, std::vector<float> samples) {
  for (const auto& effect : effects) samples = effect->apply(std::move(samples));
  return samples;
}

}  // namespace strata

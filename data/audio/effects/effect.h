#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"

namespace strata {

/// A treatment of the waveform before the upstream: 16 kHz mono float32 in and out. Immutable and thread-safe.
/// The effects of a corpus are part of what is stored, and so of the trial id.
class Effect {
 public:
  static constexpr const char* kKind = "effect";
  virtual ~Effect() = default;
  virtual std::vector<float> apply(std::vector<float> samples) const = 0;
};

using EffectRegistry = Registry<Effect>;
using Effects = std::vector<std::unique_ptr<const Effect>>;

#define STRATA_REGISTER_EFFECT(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =     \
      ::strata::EffectRegistry::add_variant<Options, Class>(name, summary)

/// Makes the effects of a JSON list [{"type": "gain", "db": -3}, ...]; `file` and `path` are named in a ConfigError.
Effects make_effects(const Json& list, const std::string& file, const std::string& path);

/// The list with all defaults filled in: what a store records and a trial id hashes.
Json resolve_effects(const Json& list, const std::string& file, const std::string& path);

/// One after the other, in the order of the list.
std::vector<float> apply_effects(const Effects& effects, std::vector<float> samples);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/heads/head.h"
#include "core/tensor/parameters.h"

namespace strata {

/// What a fusion is built for: the upstreams that meet, in the study's order.
struct FusionInput {
  std::vector<std::int64_t> layers;            // L_i
  std::vector<std::int64_t> widths;            // D_i
  std::vector<std::int64_t> interface_widths;  // H_i; empty for a fusion that mixes the layers itself
};

/// The parts that a fusion puts together; the model owns them. Calls take their parameters from the model's buffer.
struct FusionParts {
  /// interface(i, features [B, T, L_i, D_i]) -> [B, T, H_i]
  std::function<at::Tensor(std::size_t, const at::Tensor&)> interface;
  /// head(j, x [B, T, H]) -> logits
  std::function<at::Tensor(std::size_t, const at::Tensor&)> head;
};

/// How m >= 1 upstreams reach one decision: equations 1 to 4 of arXiv:2212.10092, and the joint interface of
/// arXiv:2511.08389. Upstreams come aligned in time (data/batches/alignment.h); layers and widths may differ, and where
/// widths must not, `project_to` makes them equal by a learned affine map. Immutable after construction and
/// thread-safe. Several trials as one computation: see Note [Banks] in core/tensor/parameters.h.
class Fusion {
 public:
  static constexpr const char* kKind = "fusion";
  /// A variant that mixes the layers of all upstreams itself says false: its model has no interfaces, and its options
  /// are those of an interface and its own.
  static constexpr bool kUsesInterfaces = true;
  virtual ~Fusion() = default;

  /// How many heads the model needs.
  virtual std::size_t heads() const { return 1; }
  /// The width that head `j` is given.
  virtual std::int64_t head_width(std::size_t j) const = 0;
  /// Throws ConfigError ("not applicable: ..", with the reason) if what these heads give cannot be fused.
  virtual void check_output(HeadOutput) const {}
  /// True if heads see nothing but affine maps of each upstream's frames (or of what affine interfaces make of them),
  /// so that a time mean can come first.
  virtual bool affine_per_frame() const { return false; }
  virtual std::vector<ParameterSpec> parameters() const { return {}; }

  /// The convex weights that it learns, by name, as they are now: "model_weights" [m], "<i>.layer_weights" [L_i].
  virtual Parameters mixing_weights(const Parameters&) const { return {}; }
  /// What it decided by itself about the upstreams, to be recorded with each result; null if nothing.
  virtual Json decisions() const { return nullptr; }

  ///   features  one [B, T, L_i, D_i] per upstream, aligned in time
  ///   returns   logits as the head gives them (log-probabilities where probabilities are fused)
  virtual at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                             const FusionParts& parts) const = 0;
};

using FusionRegistry = Registry<Fusion, FusionInput>;

/// Names of the registered fusions that mix the layers themselves.
inline std::set<std::string>& fusions_without_interfaces() {
  static std::set<std::string> names;
  return names;
}

template <class Options, class Variant>
bool register_fusion(const std::string& name, const std::string& summary) {
  if (!Variant::kUsesInterfaces) fusions_without_interfaces().insert(name);
  return FusionRegistry::add_variant<Options, Variant>(name, summary);
}

#define STRATA_REGISTER_FUSION(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class = ::strata::register_fusion<Options, Class>(name, summary)

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/parameters.h"

namespace strata {

/// What a fusion is built for: the upstreams that meet, in the study's order.
struct FusionInput {
  std::vector<std::int64_t> layers;            // L_i
  std::vector<std::int64_t> widths;            // D_i
  std::vector<std::int64_t> interface_widths;  // H_i
};

/// The parts that a fusion puts together; the model owns them. Calls take their parameters from the model's buffer.
struct FusionParts {
  /// interface(i, features [B, T, L_i, D_i]) -> [B, T, H_i]
  std::function<at::Tensor(std::size_t, const at::Tensor&)> interface;
  /// head(j, x [B, T, H]) -> logits
  std::function<at::Tensor(std::size_t, const at::Tensor&)> head;
};

/// How several upstreams reach one decision (arXiv:2212.10092). Immutable after construction and thread-safe.
class Fusion {
 public:
  static constexpr const char* kKind = "fusion";
  virtual ~Fusion() = default;

  /// How many heads the model needs.
  virtual std::size_t heads() const { return 1; }
  /// The width that head `j` is given.
  virtual std::int64_t head_width(std::size_t j) const = 0;
  /// False if it mixes the layers itself; the model then has no interfaces.
  virtual bool uses_interfaces() const { return true; }
  /// True if it is affine in each upstream's frames and lets the head see nothing else, so that a time mean can come first.
  virtual bool affine_per_frame() const { return false; }
  virtual std::vector<ParameterSpec> parameters() const { return {}; }

  ///   features  one [B, T, L_i, D_i] per upstream, aligned in time
  ///   returns   logits as the head gives them (log-probabilities where probabilities are fused)
  virtual at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                             const FusionParts& parts) const = 0;
};

using FusionRegistry = Registry<Fusion, FusionInput>;

#define STRATA_REGISTER_FUSION(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =     \
      ::strata::FusionRegistry::add_variant<Options, Class>(name, summary)

}  // namespace strata

#pragma once

#include <ATen/TensorOperators.h>

#include <string>
#include <utility>
#include <vector>

#include "core/fusions/fusion.h"
#include "tests/core/testing.h"

namespace strata {

inline std::unique_ptr<Fusion> make_fusion(const std::string& options, FusionInput input) {
  return make_variant<FusionRegistry>(options, std::move(input));
}

/// Parts whose interface takes the first layer, [B, T, L, D] -> [B, T, D], and whose head j multiplies by 10^j.
inline FusionParts first_layer_parts() {
  return {[](std::size_t, const at::Tensor& x) { return x.select(2, 0); },
          [](std::size_t j, const at::Tensor& x) { return j == 0 ? x : x * 10; }};
}

inline Parameters named(std::vector<std::pair<std::string, at::Tensor>> tensors) {
  Parameters parameters;
  for (auto& [name, tensor] : tensors) parameters.add(name, std::move(tensor));
  return parameters;
}

inline std::vector<std::string> names_of(const std::vector<ParameterSpec>& specs) {
  std::vector<std::string> names;
  for (const ParameterSpec& spec : specs) names.push_back(spec.name);
  return names;
}

}  // namespace strata

#include "core/interfaces/interface.h"

#include <ATen/ops/layer_norm.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

at::Tensor layers_as_read(const at::Tensor& features, const InterfaceInput& input, bool normalize, bool as_stored) {
  if (features.dim() != 4 || features.size(2) != input.layers || features.size(3) != input.width) {
    throw ShapeError(
        fmt::format("interface: expected [B, T, {}, {}], found {}", input.layers, input.width, features.sizes().vec()));
  }
  if (normalize) return at::layer_norm(computable(features), {input.width}, {}, {}, 1e-5);
  return as_stored ? features : computable(features);
}

at::Tensor computable(const at::Tensor& features) {
  const bool narrow = features.scalar_type() == at::kHalf || features.scalar_type() == at::kBFloat16;
  return narrow ? features.to(at::kFloat) : features;
}

at::Tensor Interface::forward(const Parameters& parameters, const at::Tensor& features) const {
  return apply(parameters, layers_as_read(features, input_, normalize_, reads_stored_types()));
}

}  // namespace strata

#include "core/interfaces/interface.h"

#include <ATen/ops/layer_norm.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

at::Tensor layers_as_read(const at::Tensor& features, const InterfaceInput& input, bool normalize) {
  if (features.dim() != 4 || features.size(2) != input.layers || features.size(3) != input.width) {
    throw ShapeError(
        fmt::format("interface: expected [B, T, {}, {}], found {}", input.layers, input.width, features.sizes().vec()));
  }
  return normalize ? at::layer_norm(features, {input.width}, {}, {}, 1e-5) : features;
}

at::Tensor Interface::forward(const Parameters& parameters, const at::Tensor& features) const {
  return apply(parameters, layers_as_read(features, input_, normalize_));
}

}  // namespace strata

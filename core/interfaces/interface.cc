#include "core/interfaces/interface.h"

#include <ATen/ops/layer_norm.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

at::Tensor Interface::forward(const Parameters& parameters, const at::Tensor& features) const {
  if (features.dim() != 4 || features.size(2) != input_.layers || features.size(3) != input_.width) {
    throw ShapeError(fmt::format("interface: expected [B, T, {}, {}], found {}", input_.layers, input_.width,
                                 features.sizes().vec()));
  }
  return apply(parameters, normalize_ ? at::layer_norm(features, {input_.width}, {}, {}, 1e-5) : features);
}

}  // namespace strata

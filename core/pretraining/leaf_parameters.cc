#include "core/pretraining/leaf_parameters.h"

#include <ATen/core/Tensor.h>

namespace strata {

Parameters leaf_parameters(const std::vector<ParameterSpec>& specs, const at::Tensor& flat,
                           const at::Tensor& gradient) {
  const Parameters values = view_parameters(specs, flat.detach());
  const Parameters gradients = view_parameters(specs, gradient.detach());
  Parameters leaves;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    at::Tensor leaf = values.items()[i].second.detach().requires_grad_();
    leaf.mutable_grad() = gradients.items()[i].second;
    leaves.add(specs[i].name, leaf);
  }
  return leaves;
}

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/tensor/parameters.h"

namespace strata {

/// The flat buffer cut into named leaves, whose gradients are views of `gradient`: a backward adds to that vector as it
/// goes. Gradients of `view_parameters` would instead each be spread over a vector of the full length, which for some
/// eighty weights of a model costs as much as the model.
///   flat, gradient  [sum of elements], contiguous, of one dtype and device; shared, not copied
Parameters leaf_parameters(const std::vector<ParameterSpec>& specs, const at::Tensor& flat, const at::Tensor& gradient);

}  // namespace strata

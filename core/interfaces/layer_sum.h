#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// y[b, t] = sum_l weights[l] features[b, t, l]. Differentiable in both.
///   features  [B, T, L, D]
///   weights   [L]
///   returns   [B, T, D]
at::Tensor weighted_layers(const at::Tensor& features, const at::Tensor& weights);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// y[b, t] = sum_l weights[l] features[b, t, l]. Differentiable in both.
///   features  [B, T, L, D], 16-bit types too; read once and in their own type where layer_kernels.h can
///   weights   [L]
///   returns   [B, T, D], dtype of the weights
at::Tensor weighted_layers(const at::Tensor& features, const at::Tensor& weights);

}  // namespace strata

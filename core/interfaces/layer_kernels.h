#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// Sums over layers that read the features once, in the type they are stored in: no float32 copy of them is made.
/// CPU with AVX2, FMA and F16C (x86 since 2013). Each is memory bound: see tools/bench.

/// True if these features can be read so: frames [L, D] contiguous and at equal distances (a run of layers is so too), on
/// the CPU, float32, float16 or bfloat16, on such a CPU.
bool has_layer_kernels(const at::Tensor& features);

/// y[n, d] = sum_l weights[l] x[n, l, d].
///   x        [.., L, D] as above
///   weights  [L] float32
///   returns  [.., D] float32
at::Tensor sum_layers(const at::Tensor& x, const at::Tensor& weights);

/// The gradient of `sum_layers` in its weights: w[l] = sum_(n, d) g[n, d] x[n, l, d], sums over frames in float64.
///   g        [.., D] float32
///   returns  [L] float32
at::Tensor layer_products(const at::Tensor& g, const at::Tensor& x);

}  // namespace strata

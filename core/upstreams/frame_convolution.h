#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace strata {

/// A convolution without padding on frames that lie behind each other, with gradients, as matrix products on views of
/// the input: out[t] = sum_k weight[:, :, k] x[t stride + k]. It copies nothing, where LibTorch's conv1d reorders
/// input, output and both gradients.
///   x        [T, in] contiguous, T >= kernel
///   weight   [out, in, kernel]
///   returns  [(T - kernel) / stride + 1, out]
at::Tensor convolve_frames(const at::Tensor& x, const at::Tensor& weight, std::int64_t stride);

/// The same of a wave, the first convolution of a stem: out[t] = shift + sum_k x[t stride + k] matrix[k]. Gradients
/// reach `matrix` and `shift`, not the wave.
///   x         [n] contiguous
///   matrix    [kernel, out]
///   shift     [out]
at::Tensor convolve_wave(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& shift, std::int64_t stride);

}  // namespace strata

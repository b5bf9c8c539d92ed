#pragma once

#include <cstdint>

namespace strata {

/// The convolution of a wave, one input channel and many outputs: out[t, c] = shift[c] + sum_k x[t stride + k] w[k, c].
/// As a product of matrices it would have so few terms a sum that copying and writing take longer than its arithmetic.
///   x         [(rows - 1) stride + kernel]
///   w         [kernel, width]
///   shift     [width], or nullptr for none
///   out       [rows, width]
void convolve_samples(const float* x, std::int64_t stride, const float* w, std::int64_t kernel, const float* shift,
                      std::int64_t rows, std::int64_t width, float* out);

}  // namespace strata

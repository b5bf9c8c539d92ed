#pragma once

#include <cstdint>
#include <vector>

namespace strata {

/// One convolution of HConv's stack.
struct LayerConvolution {
  std::int64_t input_positions = 0;
  std::int64_t positions = 0;
  std::int64_t channels = 0;  // out; in is D
};

/// The stack over `layers` layers of width `width`: floor(log layers / log stride) convolutions; see hconv.cc.
/// Throws ConfigError ("not applicable: ..") if that is none, or if `width` is less than the positions that are left.
std::vector<LayerConvolution> layer_convolutions(std::int64_t layers, std::int64_t width, std::int64_t kernel_size,
                                                 std::int64_t stride);

}  // namespace strata

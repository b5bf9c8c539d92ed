#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/interfaces/interface.h"

namespace strata {

struct HConvOptions : InterfaceOptions {
  std::int64_t kernel_size = 5;
  std::int64_t stride = 3;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.number("kernel_size", kernel_size, "layers a convolution sees", at_least(1));
    f.number("stride", stride, "layers from one position to the next", at_least(2));
  }
};

/// The interface `hconv`, for whoever brings layers of its own; see hconv.cc.
std::unique_ptr<Interface> make_hconv(const HConvOptions& options, InterfaceInput input);

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

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/store/hdf5.h"

namespace strata {

/// Frames in 8 bits, each with its scale: x[t, d] is stored as round(x[t, d] / s[t]), s[t] = max_d |x[t, d]| / 127, all
/// in float32, rounded to nearest even; a frame of zeros has s = 0. Half a step, |x - q s| <= max |x| / 254, is what a
/// value loses (and float32's rounding). A frame with a value that is not finite has a scale that is not, and reads as
/// NaN.
struct Int8Frames {
  at::Tensor values;  // [T, D] int8, -127 .. 127
  at::Tensor scale;   // [T] float32
};

///   frames  [T, D] float32
Int8Frames to_int8(const at::Tensor& frames);

/// out[t, d] = scale[t] values[t, d], of the first N frames.
///   values  [T, D] int8, contiguous
///   scale   [T] float32, contiguous
///   out     [N, D] float32 on the CPU, N <= T; each row contiguous, the rows may lie apart
void widen_int8(const at::Tensor& values, const at::Tensor& scale, const at::Tensor& out);

/// Frames as a reader will get them from a store of this type: in 16 bits, or in float32 and, for int8, rounded by
/// to_int8.
///   frames  [T, D] float32
at::Tensor as_read(const at::Tensor& frames, hdf5::StoredType type);

/// The dtype in which frames are given to a writer and come from a reader: float32 for int8.
at::ScalarType scalar_type(hdf5::StoredType type);

}  // namespace strata

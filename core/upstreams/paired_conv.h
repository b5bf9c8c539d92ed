#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "core/upstreams/packed_product.h"

namespace strata {

/// A convolution with kernel 3 and stride 2, with five products of matrices where its definition has six. Of the even
/// inputs e[n] = x[2n] and the odd ones o[n] = x[2n + 1] it is y[n] = e[n] W0 + o[n] W1 + e[n + 1] W2, whose two taps
/// on e are a filter of their own: two of its outputs take three products, F(2, 2) of Winograd, "Arithmetic Complexity
/// of Computations" (SIAM, 1980), or the fast FIR algorithm. For each pair of rows n, n + 1
///   t        = e[n + 1] (W0 + W2)
///   y[n]     = t + (e[n] - e[n + 1]) W0 + o[n] W1
///   y[n + 1] = t + (e[n + 2] - e[n + 1]) W2 + o[n + 1] W1
/// The even part thus comes as a difference of larger terms; of 512 channels it differed from the plain form by at most
/// 8e-7 of the peak. W0 + W2 is rounded once, from float64. In float32 on the CPU, without gradients. Thread-safe.
class PairedConv {
 public:
  /// Of a weight [out, in, 3] float32 on the CPU; none if it is of another kernel, stride or type, or too small to be
  /// packed. `first_taps`: the packed matrix of the taps 0 and 1, which is used here too.
  static std::optional<PairedConv> pack(const at::Tensor& weight, std::int64_t stride, const PackedProduct& first_taps);

  /// The convolution, plus `shift`.
  ///   x      [at least 4 pairs + 1, in] float32 contiguous; its first 4 pairs rows are overwritten, since the
  ///          differences are taken in place
  ///   shift  [out], or undefined for none
  ///   out    [2 pairs, out] float32 contiguous
  void consume(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& out) const;

 private:
  PairedConv(PackedProduct common, PackedProduct first, PackedProduct second)
      : common_(std::move(common)), first_(std::move(first)), second_(std::move(second)) {}

  PackedProduct common_, first_, second_;  // W0 + W2; W0 above W1; W2 above W1
};

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace strata {

/// y = x W^T + b by a weight that was packed once into the form in which MKL multiplies: an ordinary product repacks it
/// at every call, which for the few hundred rows of an utterance takes a tenth of the time. Rows go in blocks of a
/// fixed number, the last one filled up or multiplied in the ordinary way, whichever is less work. No gradients.
class PackedProduct {
 public:
  /// Packs a weight [out, in] float32 and bias [out]; none where LibTorch has no MKL, or where it would not pay.
  static std::optional<PackedProduct> pack(const at::Tensor& weight, const at::Tensor& bias);

  /// x [rows, in] contiguous float32 -> [rows, out].
  at::Tensor operator()(const at::Tensor& x) const;

  /// Rows of a block.
  static constexpr std::int64_t kRows = 192;

 private:
  PackedProduct(at::Tensor packed, at::Tensor weight, at::Tensor bias);
  at::Tensor block(const at::Tensor& x) const;

  at::Tensor packed_, weight_, bias_;
};

}  // namespace strata

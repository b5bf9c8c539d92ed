#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace strata {

/// x W^T by a weight that was packed once into the form in which it is multiplied: an ordinary product repacks it at
/// every call, which for the few hundred rows of an utterance takes a tenth of the time. No gradients. Thread-safe.
/// Arithmetics: float32 (by MKL); bfloat16 and float16 (by oneDNN): both factors and the product are rounded to it, sums
/// are in float32.
class PackedProduct {
 public:
  /// Packs a weight [out, in] float32; none where the weight is so small that it would not pay, or, for float32, where
  /// LibTorch has no MKL.
  static std::optional<PackedProduct> pack(const at::Tensor& weight, at::ScalarType arithmetic = at::kFloat);

  /// Why products in `arithmetic` are not to be had here, or would be many times slower than in float32; "" if nothing
  /// speaks against them.
  static std::string refusal(at::ScalarType arithmetic);

  /// out = x W^T, or out += x W^T.
  ///   x    [rows, in] float32, of stride 1 in its rows, which do not overlap
  ///   out  [rows, out] likewise
  /// Throws InternalError for any other tensor.
  void write(const at::Tensor& out, const at::Tensor& x) const { multiply(out, x, 0.0F); }
  void add_to(const at::Tensor& out, const at::Tensor& x) const { multiply(out, x, 1.0F); }

 private:
  void multiply(const at::Tensor& out, const at::Tensor& x, float kept) const;
  PackedProduct(at::Tensor packed, std::int64_t in, std::int64_t out, at::ScalarType arithmetic);

  at::Tensor packed_;  // in MKL's or oneDNN's own order
  std::int64_t in_, out_;
  at::ScalarType arithmetic_;
};

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace strata {

/// Whose kernels compute a product in float32; by name for those who compare them.
enum class ProductLibrary { kFastest, kMkl, kOneDnn };

/// x W^T by a weight that was packed once into the form in which it is multiplied: an ordinary product repacks it at
/// every call, which for the few hundred rows of an utterance takes a tenth of the time. No gradients. Thread-safe.
/// Arithmetics: float32; bfloat16 and float16, to which both factors are rounded, products and sums being in float32.
/// By oneDNN's small kernels (LibTorch's `brgemm`), a panel of the weight after the other; float32 by MKL on Intel's
/// CPUs and on those without AVX-512.
class PackedProduct {
 public:
  /// Packs a weight [out, in] float32; none where the weight is so small that it would not pay or, for float32, where
  /// `library` is not to be had here; it makes no difference to 16 bits.
  static std::optional<PackedProduct> pack(const at::Tensor& weight, at::ScalarType arithmetic = at::kFloat,
                                           ProductLibrary library = ProductLibrary::kFastest);

  /// Why products in `arithmetic` are not to be had here, or would be many times slower than in float32; "" if nothing
  /// speaks against them.
  static std::string refusal(at::ScalarType arithmetic);

  /// out = x W^T, or out += x W^T.
  ///   x    [rows, in] float32, of stride 1 in its rows, which do not overlap
  ///   out  [rows, out] likewise
  /// Throws InternalError for any other tensor.
  void write(const at::Tensor& out, const at::Tensor& x) const { multiply(out, x, false); }
  void add_to(const at::Tensor& out, const at::Tensor& x) const { multiply(out, x, true); }

 private:
  void multiply(const at::Tensor& out, const at::Tensor& x, bool add) const;
  PackedProduct(at::Tensor packed, std::int64_t in, std::int64_t out)
      : packed_(std::move(packed)), in_(in), out_(out) {}

  at::Tensor packed_;  // [panels, in, columns of a panel] in the arithmetic's type, or one row in MKL's own order
  std::int64_t in_, out_;
};

}  // namespace strata

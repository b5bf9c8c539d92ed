#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "core/upstreams/packed_product.h"
#include "core/upstreams/weight_reader.h"

namespace strata {

/// y = x W^T + b on [.., in]; on [T, in] by a packed weight where no gradients are recorded.
class Linear {
 public:
  /// Takes `weight` [out, in] and `bias` [out].
  Linear(std::int64_t in, std::int64_t out, const WeightReader& weights);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  std::optional<PackedProduct> packed_;
};

/// Layer norm over the last axis of `width` values, biased variance, affine.
class LayerNorm {
 public:
  /// Takes `weight` and `bias`, both [width].
  LayerNorm(std::int64_t width, double eps, const WeightReader& weights);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  double eps_;
};

/// The exact (erf) GELU. Writes over `x`, which the caller gives up, unless gradients are being recorded.
at::Tensor gelu(at::Tensor&& x);

/// x + y. Writes over `y`, which the caller gives up, unless gradients are being recorded.
at::Tensor add_to(const at::Tensor& x, at::Tensor&& y);

}  // namespace strata

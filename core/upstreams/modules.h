#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/upstreams/packed_product.h"
#include "core/upstreams/weight_reader.h"

namespace strata {

/// What training does to a part's output: zeroes some values and scales the rest. An empty one: nothing.
using Dropout = std::function<at::Tensor(const at::Tensor&)>;

/// y = x W^T + b on [.., in], in the reader's arithmetic; by a packed weight where no gradients are recorded.
class Linear {
 public:
  /// Takes `weight` [out, in] and `bias` [out] of each of `parts`, whose outputs lie side by side in y.
  Linear(std::int64_t in, std::int64_t out, const std::vector<WeightReader>& parts);
  Linear(std::int64_t in, std::int64_t out, const WeightReader& weights)
      : Linear(in, out, std::vector<WeightReader>{weights}) {}

  at::Tensor operator()(const at::Tensor& x) const;
  /// Of x [T, in] into `y` [T, out], of stride 1 in its rows. No gradients.
  void write(const at::Tensor& y, const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;               // `weight_` is undefined where it is packed
  std::optional<at::ScalarType> rounded_;  // what factors and product are rounded to, with gradients
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

/// x + y, in the finer of their types. Writes over `y`, which the caller gives up, unless gradients are being recorded.
at::Tensor add_to(const at::Tensor& x, at::Tensor&& y);

}  // namespace strata

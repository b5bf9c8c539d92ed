#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/upstreams/weight_reader.h"

namespace strata {

/// A change of frame rate by r0 / r1.
struct RateRatio {
  std::int64_t r0 = 1, r1 = 1;
  RateRatio reversed() const { return {r1, r0}; }
};

/// MR-HuBERT's module between two frame rates (arXiv:2310.02720), on x [T, C], with R0 = x with each frame r0 times,
/// s = sqrt(residual_scale), GN a group norm of one group over all channels and frames (affine, eps 1e-5):
///     u   = gelu(GN(transposed convolution of stride r0 (x)))
///     y   = s (u + R0)
///     v   = gelu(GN(convolution of stride r1 (y)))
///     out = s (s (v + y[::r1]) + R0[::r1])
/// all cut to the shortest. `plain`: only one of the two halves, out = s (v + x[::r1]) where r0 is 1, otherwise s (u +
/// R0).
class ConvAdapter {
 public:
  struct Shape {
    std::int64_t channels;
    RateRatio ratio;
    std::int64_t kernel;  // 0: as the weights have it
    double residual_scale;
    bool plain;
  };

  /// Takes `{upsample,downsample}_conv.0.weight` and `.2.{weight,bias}`, in fairseq's names.
  ConvAdapter(const Shape& shape, const WeightReader& weights);

  /// [T, C] -> [frames(T), C].
  at::Tensor operator()(const at::Tensor& x) const;

  /// Frames out of `frames` in: ceil(r0 T / r1) for an odd kernel.
  std::int64_t frames(std::int64_t frames) const;

 private:
  struct Branch {
    at::Tensor weight, norm_weight, norm_bias;
  };
  static Branch take(const WeightReader& weights, std::int64_t channels, std::int64_t kernel);
  at::Tensor up(const at::Tensor& x, const at::Tensor& repeated) const;
  at::Tensor down(const at::Tensor& x) const;

  RateRatio ratio_;
  double scale_;
  Branch up_, down_;  // undefined where `plain` has none
};

}  // namespace strata

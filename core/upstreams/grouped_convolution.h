#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace strata {

/// A grouped convolution of stride 1 on frames, out[t] = sum_k weight[:, :, k] x[t - before + k] in each group, with
/// frames outside 0 .. T - 1 zero, as matrix products.
///
/// One frame of a group has too few columns for a product to be fast, so that F neighbouring ones are made at once from
/// the K + F - 1 rows that they see together.
class GroupedWeight {
 public:
  ///   weight  [D, D / groups, K]
  ///   frames  F
  GroupedWeight(const at::Tensor& weight, std::int64_t groups, std::int64_t frames);

  /// x [T, D] -> [T, D]. No gradients.
  at::Tensor convolve(const at::Tensor& x, std::int64_t before) const;

  /// The gradient of the weight, [D, D / groups, K], of which only shapes are used here.
  ///   x         [T, D] what was convolved
  ///   gradient  [T, D] of what came out
  at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& gradient, std::int64_t before) const;

 private:
  /// x by groups with zeros around it, [groups, rows, D / groups].
  at::Tensor grouped(const at::Tensor& x, std::int64_t before, std::int64_t rows) const;

  std::int64_t groups_, frames_, kernel_, width_;
  at::Tensor matrices_;  // [groups, (K + F - 1) D / groups, F D / groups]
};

/// The convolution through which gradients flow. Its weight is laid out once, with the values that it has then, for all
/// that is convolved with it.
class GroupedConvolution {
 public:
  ///   weight  [D, D / groups, K]
  GroupedConvolution(const at::Tensor& weight, std::int64_t groups, std::int64_t before);

  /// x [T, D] -> [T, D].
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  class Function;
  struct Layouts;
  at::Tensor weight_;
  std::shared_ptr<const Layouts> layouts_;
};

}  // namespace strata

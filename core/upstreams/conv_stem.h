#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"
#include "core/upstreams/paired_conv.h"

namespace strata {

/// The convolutions that turn a wave into frames: unpadded, GELU after each. `group`: a group norm per channel over
/// time after the first; `layer`: a layer norm over channels after each; both affine with eps 1e-5, whatever
/// layer_norm_eps says.
///
/// Without gradients it is computed as matrix products on [frames, channels], a block of frames after the other, so
/// that memory does not grow with the utterance (but for its result) and each block is normed and activated while it is
/// in the cache. The group norm's statistics are those of the whole utterance, in float64: a convolution's mean and
/// variance over time follow from the mean and covariance of the samples under its kernel. In float32 on the CPU, with
/// packed weights, kernel 3 and stride 2 are computed for pairs of frames (PairedConv).
class ConvStem {
 public:
  /// Takes `conv_layers.{i}.conv.{weight, bias}` and `conv_layers.{i}.layer_norm.{weight, bias}` (the group norm too).
  /// A bias is used where there is one; it must be there if `conv_bias` says so.
  ConvStem(const EncoderConfig& config, const WeightReader& weights);

  ///   wave     [n], n >= receptive_field
  ///   returns  [T, C] contiguous
  at::Tensor operator()(const at::Tensor& wave) const;

 private:
  /// Taps of a kernel that a row of the input holds side by side without overlapping the next row: as many as the
  /// stride, or, of a wave, all.
  struct Product {
    std::int64_t first_tap;
    at::Tensor matrix;                    // [taps * in, out]
    std::optional<PackedProduct> packed;  // the same, bound while gradients are off
  };
  struct Layer {
    at::Tensor weight, bias;  // [out, in, k], [out] or undefined
    std::int64_t kernel, stride;
    at::Tensor group_weight, group_bias;  // [out] or undefined
    std::optional<LayerNorm> norm;
    std::vector<Product> products;     // none where it was bound while gradients are recorded
    std::optional<PairedConv> paired;  // the same for pairs of frames, where it is to be had
    at::Tensor shift;                  // [out] or undefined
  };
  /// Frames first .. last - 1 of a layer, [last - first, C].
  struct Rows {
    std::int64_t first = 0, last = 0;
    at::Tensor values;
  };

  static std::vector<Product> products_of(const at::Tensor& weight, std::int64_t stride);
  /// The first layer with its group norm folded into weight and bias, for a wave from which its mean was taken.
  Layer normed_first_layer(const at::Tensor& wave, double mean) const;
  /// Frames first .. first + out.size(0) - 1 of a layer whose input is given. Of the input of a paired layer, the rows
  /// before (first + out.size(0)) * stride hold anything afterwards.
  static void convolve(const Layer& layer, const Rows& input, std::int64_t first, at::Tensor out);
  /// The convolution in it, as matrix products; the pairs' input is consumed.
  static void multiply(const Layer& layer, const Rows& input, std::int64_t first, at::Tensor out);
  /// Frames first .. last - 1 of the last layer into `out`.
  void segment(const Layer& first_layer, const at::Tensor& wave, std::int64_t first, at::Tensor out) const;
  /// The first layer before its GELU, and all of it, through which gradients flow; matrix products too.
  at::Tensor first_frames(const at::Tensor& wave) const;
  at::Tensor differentiable(const at::Tensor& wave) const;
  /// The same by LibTorch's convolutions, which are what a GPU has.
  at::Tensor plain(const at::Tensor& wave) const;

  std::vector<Layer> layers_;
};

/// Frames that the stem makes of `samples`; 0 if they are too few.
std::int64_t stem_frames(const EncoderConfig& config, std::int64_t samples);
/// Samples between frames: the product of the strides.
std::int64_t stem_hop(const EncoderConfig& config);
/// Samples that one frame sees, the fewest that give one.
std::int64_t stem_receptive_field(const EncoderConfig& config);

}  // namespace strata

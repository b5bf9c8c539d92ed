#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/grouped_convolution.h"
#include "core/upstreams/weight_reader.h"

namespace strata {

/// The convolutional position embedding p(x), to be added to x [T, D]: a grouped convolution padded by half its kernel
/// K, cropped to T frames at the end, GELU. For even K its taps see x[t - K/2 .. t + K/2 - 1]. Its weight is normalised
/// (wav2vec2, HuBERT, WavLM), or its input is batch-normalised (`conv_pos_batch_norm`), or it is a stack of blocks with
/// plain weights and a layer norm without affine, eps 1e-5, before each GELU (data2vec-audio).
class PositionalConv {
 public:
  /// Takes `conv.bias` and `conv.parametrizations.weight.original{0,1}` (or a folded `conv.weight`); or `conv.weight`
  /// and `batch_norm.*`; or `layers.{i}.conv.*`.
  PositionalConv(const EncoderConfig& config, const WeightReader& weights);

  /// x [T, D] -> [T, D].
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  struct Block {
    at::Tensor weight, bias;  // [D, D / groups, K], [D]
    bool norm;
    std::optional<GroupedWeight> frozen;          // on a CPU, where it was bound without gradients
    std::optional<GroupedConvolution> trainable;  // on a CPU, where it was bound with them
  };
  void add_block(const at::Tensor& weight, const at::Tensor& bias, bool norm);
  /// [T, D] -> [T, D], with the bias.
  at::Tensor convolve(const Block& block, const at::Tensor& x) const;
  std::vector<Block> blocks_;
  std::int64_t groups_;
  at::Tensor bn_weight_, bn_bias_, bn_mean_, bn_var_;  // [D] or undefined
};

/// w[o,i,k] = g[k] v[o,i,k] / sqrt(sum_{o,i} v[o,i,k]^2): weight norm over the last axis (arXiv:1602.07868), in
/// float64.
///   g [1, 1, K], v [O, I, K] -> [O, I, K], dtype of v
at::Tensor fold_weight_norm(const at::Tensor& g, const at::Tensor& v);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"

namespace strata {

/// The convolutions that turn a wave into frames: unpadded, GELU after each. `group`: a group norm per channel over
/// time after the first; `layer`: a layer norm over channels after each; both affine with eps 1e-5, whatever
/// layer_norm_eps says.
class ConvStem {
 public:
  /// Takes `conv_layers.{i}.conv.{weight, bias}` and `conv_layers.{i}.layer_norm.{weight, bias}` (the group norm too).
  /// A bias is used where there is one; it must be there if `conv_bias` says so.
  ConvStem(const EncoderConfig& config, const WeightReader& weights);

  ///   wave     [n], n >= receptive_field
  ///   returns  [T, C] contiguous
  at::Tensor operator()(const at::Tensor& wave) const;

 private:
  struct Layer {
    at::Tensor weight, bias;  // [out, in, k], [out] or undefined
    std::int64_t stride;
    at::Tensor group_weight, group_bias;  // [out] or undefined
    std::optional<LayerNorm> norm;
  };
  std::vector<Layer> layers_;
};

/// Frames that the stem makes of `samples`; 0 if they are too few.
std::int64_t stem_frames(const EncoderConfig& config, std::int64_t samples);
/// Samples between frames: the product of the strides.
std::int64_t stem_hop(const EncoderConfig& config);
/// Samples that one frame sees, the fewest that give one.
std::int64_t stem_receptive_field(const EncoderConfig& config);

}  // namespace strata

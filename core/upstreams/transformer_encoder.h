#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"
#include "core/upstreams/positional_conv.h"
#include "core/upstreams/tap_collector.h"
#include "core/upstreams/transformer_layer.h"

namespace strata {

/// What follows the projection in a SpeechEncoder: plus positional convolution, [layer norm if post-LN], layers, [layer
/// norm if pre-LN].
class TransformerEncoder {
 public:
  /// Takes `pos_conv_embed`, `layer_norm` and `layers`.
  TransformerEncoder(const EncoderConfig& config, const WeightReader& weights);

  /// Offers what SpeechEncoder's does from pos on, and besides it ffn1 .. ffnL, the outputs of the layers' feed forward
  /// part before their residual, which are in no FeatureSpec of an upstream.
  ///   projected  [T, D]
  void operator()(const at::Tensor& projected, TapCollector& taps, const Dropout& dropout = {}) const;

 private:
  bool pre_norm_;
  PositionalConv positional_;
  LayerNorm norm_;
  std::optional<RelativePositions> relative_positions_;
  std::vector<TransformerLayer> layers_;
};

}  // namespace strata

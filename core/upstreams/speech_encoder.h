#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/upstreams/conv_stem.h"
#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"
#include "core/upstreams/tap_collector.h"
#include "core/upstreams/transformer_encoder.h"

namespace strata {

/// The encoder that wav2vec 2.0 (arXiv:2006.11477), HuBERT, WavLM and data2vec share: stem, [layer norm], projection,
/// plus positional convolution, [layer norm if post-LN], layers, [layer norm if pre-LN]. In eval mode, without mask,
/// unless whoever trains it masks between `project` and `encode` and gives `encode` a dropout.
class SpeechEncoder {
 public:
  /// Takes `feature_extractor`, `feature_projection` and `encoder`.
  SpeechEncoder(const EncoderConfig& config, const WeightReader& weights);

  /// The convolutions' frames [T, C] of a normalised wave [n].
  at::Tensor stem(const at::Tensor& wave) const { return stem_(wave); }

  /// Offers, in this order: proj (projected frames), pos (positional convolution's output), h0 (input of
  /// layer 0), h1 .. h(L-1) (outputs of the layers), h{L}_raw (pre-LN: output of the last layer), hL (encoder output:
  /// after the final norm if pre-LN); stops when `taps` has what it wants.
  ///   frames  [T, C] of the stem
  void operator()(const at::Tensor& frames, TapCollector& taps) const;

  /// The projected frames [T, D] of the stem's frames [T, C].
  at::Tensor project(const at::Tensor& frames) const;

  /// All after the projection, of `x` [T, D]: see TransformerEncoder.
  void encode(const at::Tensor& x, TapCollector& taps, const Dropout& dropout = {}) const {
    encoder_(x, taps, dropout);
  }

 private:
  ConvStem stem_;
  std::optional<LayerNorm> projection_norm_;
  Linear projection_;
  TransformerEncoder encoder_;
};

/// What a SpeechEncoder offers: h0 .. hL first, then on request h{L}_raw (pre-LN), conv, proj, pos.
FeatureSpec encoder_spec(const EncoderConfig& config);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/upstreams/conv_adapter.h"
#include "core/upstreams/conv_stem.h"
#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"
#include "core/upstreams/positional_conv.h"
#include "core/upstreams/tap_collector.h"
#include "core/upstreams/transformer_layer.h"

namespace strata {

/// What MR-HuBERT needs besides a HuBERT's sizes (`num_hidden_layers` is unused).
struct MrConfig {
  EncoderConfig encoder;
  std::vector<RateRatio> ratios;     // R changes of rate, from the finest on
  std::vector<std::int64_t> layers;  // of encoders[0..R-1], the middle, decoders[0..R-1] in order of execution
  std::int64_t adapter_kernel = 0;   // 0: as the weights have it
  double residual_scale = 0.4;
  bool plain_adapters = false;
};

/// MR-HuBERT (arXiv:2310.02720): encoders at ever slower rates, a middle block, decoders back, with
/// skip[i] = encoders[i](..), m.res = x + middle(x), d{i}.res = decoders[i](..) + skip[R-1-i], cut to the shorter.
class MrEncoder {
 public:
  /// Takes `feature_extractor`, `feature_projection` in Hugging Face's names, and `encoders.{i}`, `middle_encoder`,
  /// `decoders.{i}`, `{down,up}sample_modules.{i}`, the layers in them again in Hugging Face's.
  MrEncoder(const MrConfig& config, const WeightReader& weights);

  /// The convolutions' frames [T, C] of a normalised wave [n].
  at::Tensor stem(const at::Tensor& wave) const { return stem_(wave); }

  /// Offers proj; per block its layers' inputs `e0.0` .., and its output `e0.out` (after its last norm if
  /// pre-LN); `down{i}`, `up{i}` (outputs of the adapters, in order of execution); `m.res`, `d{i}.res`.
  ///   frames  [T, C] of the stem
  void operator()(const at::Tensor& frames, TapCollector& taps) const;

  /// The projected frames [T, D] of the stem's frames [T, C], and all after them; whoever trains masks between the two.
  at::Tensor project(const at::Tensor& frames) const;
  void encode(const at::Tensor& projected, TapCollector& taps, const Dropout& dropout = {}) const;

  /// Frames for `samples` at each of the 3 R + 1 stages: the encoders, the middle, the decoders, the decoders' sums.
  std::vector<std::int64_t> frames(std::int64_t samples) const;

 private:
  class Block;
  /// The taps of `block` and what it gives, unless `taps` is complete before.
  at::Tensor run(const Block& block, at::Tensor x, TapCollector& taps, const Dropout& dropout) const;

  MrConfig config_;
  ConvStem stem_;
  LayerNorm projection_norm_;
  Linear projection_;
  std::vector<std::shared_ptr<const Block>> encoders_, decoders_;
  std::shared_ptr<const Block> middle_;
  std::vector<ConvAdapter> down_, up_;  // up_[i] comes before decoders_[i]
};

/// What an MrEncoder offers.
struct MrTaps {
  /// The list that s3prl gives first (every block's inputs and output), then m.res, d{i}.res, conv, proj, down{i},
  /// up{i}; each at its own rate.
  FeatureSpec spec;
  std::size_t layer_list = 0;       // so many taps are s3prl's
  std::vector<std::size_t> stages;  // per tap, whose frames it has
};

MrTaps mr_taps(const MrConfig& config);

}  // namespace strata

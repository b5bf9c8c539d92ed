#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/upstreams/encoder_config.h"

namespace strata {

/// What a weight is for, by which those who make weights draw it.
enum class WeightRole {
  kConvolution,   // of the stem or an adapter
  kPosition,      // of the positional convolution: its direction v, or all of it where it has no weight norm
  kPositionNorm,  // its g, which starts as the norm of the direction before it
  kProjection,    // the linear between stem and encoder
  kLinear,        // of a layer
  kBias,
  kNormWeight,
  kNormBias,
  kEmbedding,  // the vector in place of masked frames
};

/// One weight of an encoder by its Hugging Face name.
struct WeightSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  WeightRole role;
  std::int64_t fan_in;  // inputs of the convolution or linear it belongs to; 1 elsewhere
};

/// The weights of wav2vec2, HuBERT and data2vec encoders (not of WavLM's gates) as the modules here take them, without
/// `masked_spec_embed`; fairseq's blocks under names of their own are put together from the parts below.
std::vector<WeightSpec> encoder_weights(const EncoderConfig& config);

/// `feature_extractor.*` and `feature_projection.*`.
std::vector<WeightSpec> stem_weights(const EncoderConfig& config);
/// `pos_conv_embed.*`.
std::vector<WeightSpec> position_weights(const EncoderConfig& config);
/// A transformer layer's.
std::vector<WeightSpec> layer_weights(const EncoderConfig& config);
/// `name`.weight and `name`.bias of a norm of `width`.
std::vector<WeightSpec> norm_weights(const std::string& name, std::int64_t width);

/// `part` with `prefix` + "." before each name, at the end of `all`.
void append_weights(std::vector<WeightSpec>& all, const std::string& prefix, std::vector<WeightSpec> part);

}  // namespace strata

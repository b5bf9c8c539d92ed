#pragma once

#include <cstdint>
#include <string>

#include "core/config/fields.h"
#include "core/upstreams/encoder_config.h"

namespace strata {

/// The sizes of a model to be trained, options of every objective. Kernels and strides of the stem are those of wav2vec
/// 2.0: 20 ms a frame, 25 ms of samples in each.
struct ModelSizes {
  std::int64_t conv_channels = 64;
  std::int64_t hidden_size = 192;
  std::int64_t heads = 4;
  std::int64_t intermediate_size = 768;
  bool conv_bias = false;
  double dropout = 0.0;
  double feature_gradient = 1.0;
  bool normalize = true;
  std::string compute = "float32";

  void fields(Fields& f) {
    f.number("conv_channels", conv_channels, "channels of the seven convolutions of the stem", at_least(1));
    f.number("hidden_size", hidden_size, "width of the encoder; a multiple of 16 and of heads", at_least(16));
    f.number("heads", heads, "attention heads of each layer", at_least(1));
    f.number("intermediate_size", intermediate_size, "width between the two linears of each layer", at_least(1));
    f.flag("conv_bias", conv_bias,
           "the convolutions of the stem have biases, as in large models; of no effect in the first of a group stem");
    f.number("dropout", dropout, "of the encoder's input and of both parts of each layer; 0.1 as published",
             between(0, 0.9));
    f.number("feature_gradient", feature_gradient, "factor of the gradient that reaches the stem", at_least(0));
    f.flag("normalize", normalize, "waves are normalised, in training and by who opens the model");
    f.text("compute", compute, "arithmetic of the linears; parameters, sums and all else are float32",
           {"float32", "bfloat16"});
  }

  /// `family` with these sizes and `layers` layers; the default is HuBERT base: group stem, post-LN. Throws ConfigError
  /// if they do not fit each other.
  EncoderConfig config(std::int64_t layers, EncoderConfig family = {}) const;
};

/// Where HuBERT and MR-HuBERT normalise, by Hugging Face's keys; the defaults are the base models', the others the
/// large ones'. A group stem takes the mean and the scale of an utterance off each channel of its first convolution.
struct ModelNorms {
  std::string feat_extract_norm = "group";
  bool do_stable_layer_norm = false;

  void fields(Fields& f) {
    f.text("feat_extract_norm", feat_extract_norm,
           "norms of the stem: over time after its first convolution, or over the channels after each",
           {"group", "layer"});
    f.flag("do_stable_layer_norm", do_stable_layer_norm, "layer norms before attention and feed forward (pre-LN)");
  }

  /// HuBERT base with these norms.
  EncoderConfig family() const {
    EncoderConfig config;
    config.feat_extract_norm = feat_extract_norm;
    config.do_stable_layer_norm = do_stable_layer_norm;
    return config;
  }
};

}  // namespace strata

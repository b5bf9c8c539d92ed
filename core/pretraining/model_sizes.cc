#include "core/pretraining/model_sizes.h"

namespace strata {

EncoderConfig ModelSizes::config(std::int64_t layers, EncoderConfig config) const {
  config.conv_dim.assign(config.conv_dim.size(), conv_channels);
  config.conv_bias = conv_bias;
  config.hidden_size = hidden_size;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.intermediate_size = intermediate_size;
  check_encoder_config(config, "pre-training");
  return config;
}

}  // namespace strata

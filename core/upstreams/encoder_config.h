#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/config/fields.h"

namespace strata {

/// The keys of a Hugging Face config.json that the numbers of a wav2vec2-like encoder depend on, under their names
/// there, with the defaults of the classes there. A family describes those it has by one function
/// (`SpeechFamily::fields`).
struct EncoderConfig {
  std::vector<std::int64_t> conv_dim = std::vector<std::int64_t>(7, 512);
  std::vector<std::int64_t> conv_kernel = {10, 3, 3, 3, 3, 2, 2};
  std::vector<std::int64_t> conv_stride = {5, 2, 2, 2, 2, 2, 2};
  bool conv_bias = false;
  std::string feat_extract_norm = "group";  // or "layer"
  std::string feat_extract_activation = "gelu";
  bool feat_proj_layer_norm = true;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t intermediate_size = 3072;
  std::string hidden_act = "gelu";
  double layer_norm_eps = 1e-5;
  bool do_stable_layer_norm = false;
  std::int64_t num_conv_pos_embeddings = 128;
  std::int64_t num_conv_pos_embedding_groups = 16;
  bool conv_pos_batch_norm = false;
  std::int64_t conv_pos_kernel_size =
      0;  // data2vec-audio: kernel of its positional blocks, of which there are num_conv_pos_embeddings
  std::int64_t num_buckets = 0;  // WavLM; 0: no relative position bias
  std::int64_t max_bucket_distance = 0;

  bool layer_stem() const { return feat_extract_norm == "layer"; }
};

/// The keys that all families of Hugging Face share.
void common_encoder_fields(EncoderConfig& config, Fields& f);

/// HuBERT's keys; a writer of such folders needs them too.
void hubert_fields(EncoderConfig& config, Fields& f);

/// data2vec-audio's keys, and its defaults.
void data2vec_fields(EncoderConfig& config, Fields& f);
EncoderConfig data2vec_config();

/// Throws ConfigError, naming `place` and the keys, if the sizes do not fit each other.
void check_encoder_config(const EncoderConfig& config, const std::string& place);

/// Throws ConfigError if there are more layers than any model has: every one is a tap.
void check_layers(std::int64_t layers, const std::string& place);

/// Names, in one warning, the keys of a config.json that are neither in `used` nor among `without_effect`, unless they
/// switch something off.
void warn_of_unknown_keys(const Json& json, const std::string& place, const Json& used,
                          const std::set<std::string>& without_effect);

/// Reads a config.json (`place`: its path). Keys that would change the numbers and are not supported are refused by
/// name; those known to change nothing (dropout, masking, heads) are passed over; others are named in one warning.
///   fields  a family's description of its keys
EncoderConfig read_encoder_config(const Json& json, const std::string& place, EncoderConfig defaults,
                                  void (*fields)(EncoderConfig&, Fields&));

}  // namespace strata

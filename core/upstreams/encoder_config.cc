#include "core/upstreams/encoder_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/log.h"

namespace strata {
namespace {

constexpr std::int64_t kMostLayers = 1000;
constexpr std::int64_t kLongestField = std::int64_t{1} << 31;  // of the stem: more than a day of audio

// Keys that hidden states do not depend on in eval mode: training, masking, heads, decoding, provenance.
const std::set<std::string>& keys_without_effect() {
  static const std::set<std::string> keys = {"_attn_implementation_autoset",
                                             "_name_or_path",
                                             "activation_dropout",
                                             "adapter_kernel_size",
                                             "adapter_stride",
                                             "apply_spec_augment",
                                             "architectures",
                                             "attention_dropout",
                                             "attn_implementation",
                                             "auto_map",
                                             "bos_token_id",
                                             "classifier_proj_size",
                                             "codevector_dim",
                                             "contrastive_logits_temperature",
                                             "ctc_loss_reduction",
                                             "ctc_zero_infinity",
                                             "diversity_loss_weight",
                                             "do_normalize",
                                             "dtype",
                                             "eos_token_id",
                                             "feat_extract_dropout",
                                             "feat_proj_dropout",
                                             "feat_quantizer_dropout",
                                             "final_dropout",
                                             "finetuning_task",
                                             "freeze_feat_extract_train",
                                             "gradient_checkpointing",
                                             "hidden_dropout",
                                             "hidden_dropout_prob",
                                             "id2label",
                                             "initializer_range",
                                             "label2id",
                                             "layerdrop",
                                             "mask_channel_length",
                                             "mask_channel_min_space",
                                             "mask_channel_other",
                                             "mask_channel_prob",
                                             "mask_channel_selection",
                                             "mask_feature_length",
                                             "mask_feature_min_masks",
                                             "mask_feature_prob",
                                             "mask_time_length",
                                             "mask_time_min_masks",
                                             "mask_time_min_space",
                                             "mask_time_other",
                                             "mask_time_prob",
                                             "mask_time_selection",
                                             "model_type",
                                             "no_mask_channel_overlap",
                                             "no_mask_time_overlap",
                                             "num_adapter_layers",
                                             "num_codevector_groups",
                                             "num_codevectors_per_group",
                                             "num_ctc_classes",
                                             "num_feat_extract_layers",
                                             "num_labels",
                                             "num_negatives",
                                             "output_hidden_size",
                                             "pad_token_id",
                                             "problem_type",
                                             "proj_codevector_dim",
                                             "replace_prob",
                                             "task_specific_params",
                                             "tdnn_dilation",
                                             "tdnn_dim",
                                             "tdnn_kernel",
                                             "tokenizer_class",
                                             "torch_dtype",
                                             "transformers_version",
                                             "unk_token_id",
                                             "use_weighted_layer_sum",
                                             "vocab_size",
                                             "xvector_output_dim"};
  return keys;
}

// Keys of parts that are not built here, with the values under which those parts are absent.
void refuse_unsupported(const Json& json, const std::string& place) {
  for (const char* key : {"add_adapter", "adapter_attn_dim", "quantization_config", "is_decoder", "is_encoder_decoder",
                          "add_cross_attention", "pruned_heads"}) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null() || *found == Json(false) || found->empty()) continue;
    throw ConfigError(
        fmt::format("{} /{}: {} is not supported; it would change the hidden states", place, key, shown(*found)));
  }
}

/// Names, with its value, each key of `used` that config.json lacks.
void tell_defaults(const Json& json, const std::string& place, const Json& used) {
  std::vector<std::string> taken;
  for (const auto& item : used.items()) {
    if (!json.contains(item.key())) taken.push_back(fmt::format("{} {}", item.key(), item.value().dump()));
  }
  if (!taken.empty())
    log_info_once("{}: not given, so as transformers has them by default: {}", place, fmt::join(taken, ", "));
}

}  // namespace

void warn_of_unknown_keys(const Json& json, const std::string& place, const Json& used,
                          const std::set<std::string>& without_effect) {
  std::vector<std::string> unknown;
  for (const auto& item : json.items()) {
    const std::string& key = item.key();
    const bool absent_part = item.value().is_null() || item.value() == Json(false) || item.value().empty();
    if (!used.contains(key) && !without_effect.contains(key) && !absent_part) unknown.push_back(printable(key));
  }
  if (!unknown.empty())
    log_warning("{}: keys that Strata does not know, taken to change no hidden state: {}", place,
                fmt::join(unknown, ", "));
}

void common_encoder_fields(EncoderConfig& c, Fields& f) {
  f.numbers("conv_dim", c.conv_dim, "channels of the stem's convolutions");
  f.numbers("conv_kernel", c.conv_kernel, "their kernels");
  f.numbers("conv_stride", c.conv_stride, "their strides");
  f.flag("conv_bias", c.conv_bias, "they have biases");
  f.text("feat_extract_activation", c.feat_extract_activation, "of the stem and of the positional convolution",
         {"gelu"});
  f.number("hidden_size", c.hidden_size, "width of the encoder", at_least(1));
  f.number("num_hidden_layers", c.num_hidden_layers, "transformer layers", at_least(1));
  f.number("num_attention_heads", c.num_attention_heads, "heads of each", at_least(1));
  f.number("intermediate_size", c.intermediate_size, "width between the two linears of each", at_least(1));
  f.text("hidden_act", c.hidden_act, "between them", {"gelu"});
  f.number("layer_norm_eps", c.layer_norm_eps, "of the norms after the stem", at_least(0));
  f.number("num_conv_pos_embeddings", c.num_conv_pos_embeddings, "kernel of the positional convolution", at_least(1));
  f.number("num_conv_pos_embedding_groups", c.num_conv_pos_embedding_groups, "its groups", at_least(1));
}

void hubert_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.text("feat_extract_norm", config.feat_extract_norm, "norms of the stem", {"group", "layer"});
  f.flag("feat_proj_layer_norm", config.feat_proj_layer_norm,
         "layer norm before the projection; DistilHuBERT has none");
  f.flag("do_stable_layer_norm", config.do_stable_layer_norm, "pre-LN");
  f.flag("conv_pos_batch_norm", config.conv_pos_batch_norm,
         "batch norm in place of weight norm in the positional convolution");
}

void data2vec_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.number("conv_pos_kernel_size", config.conv_pos_kernel_size,
           "kernel of the positional blocks, of which there are num_conv_pos_embeddings", at_least(1));
}

// The layer stem and post-LN are not in its config.json: there is no other data2vec-audio.
EncoderConfig data2vec_config() {
  EncoderConfig config;
  config.feat_extract_norm = "layer";
  config.num_conv_pos_embeddings = 5;
  config.conv_pos_kernel_size = 19;
  return config;
}

void check_layers(std::int64_t layers, const std::string& place) {
  if (layers > kMostLayers)
    throw ConfigError(fmt::format("{}: {} layers are more than the {} that are supported", place, layers, kMostLayers));
}

void check_encoder_config(const EncoderConfig& c, const std::string& place) {
  const auto fail = [&](const std::string& message) { throw ConfigError(place + ": " + message); };
  check_layers(c.num_hidden_layers, place);
  if (c.conv_dim.empty() || c.conv_dim.size() != c.conv_kernel.size() || c.conv_dim.size() != c.conv_stride.size()) {
    fail(fmt::format(
        "conv_dim, conv_kernel and conv_stride have {}, {} and {} entries; expected the same number, at least 1",
        c.conv_dim.size(), c.conv_kernel.size(), c.conv_stride.size()));
  }
  for (const auto* list : {&c.conv_dim, &c.conv_kernel, &c.conv_stride}) {
    if (std::any_of(list->begin(), list->end(), [](std::int64_t v) { return v < 1; })) {
      fail("conv_dim, conv_kernel and conv_stride take integers of at least 1");
    }
  }
  std::int64_t field = 1, hop = 1;  // before any number is made of them that does not fit
  for (std::size_t i = c.conv_kernel.size(); i-- > 0;) {
    const bool fits = !__builtin_mul_overflow(field - 1, c.conv_stride[i], &field) &&
                      !__builtin_add_overflow(field, c.conv_kernel[i], &field) &&
                      !__builtin_mul_overflow(hop, c.conv_stride[i], &hop);
    if (!fits || field > kLongestField || hop > kLongestField)
      fail(fmt::format("conv_kernel and conv_stride make frames that see more than {} samples", kLongestField));
  }
  if (c.num_buckets > 0 && c.max_bucket_distance <= c.num_buckets / 4) {
    fail(fmt::format("max_bucket_distance {} is not above a quarter of num_buckets {}", c.max_bucket_distance,
                     c.num_buckets));
  }
  if (c.hidden_size % c.num_attention_heads != 0) {
    fail(fmt::format("hidden_size {} is no multiple of num_attention_heads {}", c.hidden_size, c.num_attention_heads));
  }
  if (c.hidden_size % c.num_conv_pos_embedding_groups != 0) {
    fail(fmt::format("hidden_size {} is no multiple of num_conv_pos_embedding_groups {}", c.hidden_size,
                     c.num_conv_pos_embedding_groups));
  }
}

EncoderConfig read_encoder_config(const Json& json, const std::string& place, EncoderConfig config,
                                  void (*fields)(EncoderConfig&, Fields&)) {
  FieldReader reader(json, place);
  fields(config, reader);
  refuse_unsupported(json, place);
  FieldWriter used;
  fields(config, used);
  warn_of_unknown_keys(json, place, used.object, keys_without_effect());
  tell_defaults(json, place, used.object);
  check_encoder_config(config, place);
  const Json layers = json.value("num_feat_extract_layers", Json(config.conv_dim.size()));
  if (layers != Json(config.conv_dim.size())) {
    throw ConfigError(fmt::format("{} /num_feat_extract_layers: {}, but conv_dim has {} entries", place, shown(layers),
                                  config.conv_dim.size()));
  }
  return config;
}

}  // namespace strata

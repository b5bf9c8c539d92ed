#include <fmt/format.h>

#include <memory>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/folder_upstream.h"
#include "core/upstreams/model_source.h"
#include "core/upstreams/mr_encoder.h"

namespace strata {
namespace {

// 2: stem and positions as matrix products, layers in windows; 3: the store cuts the decoders' frames as the encoders'
constexpr int kFeaturesVersion = 3;
constexpr std::size_t kMostChanges = 16;  // of the frame rate
constexpr double kFairseqEps = 1e-5;      // of every norm, and of the wave's

/// The keys of its config.json: fairseq's names, flat, with `conv_dim`, `conv_kernel`, `conv_stride` for the expression
/// in `conv_feature_layers`. There is no such file from fairseq itself.
struct MrKeys {
  EncoderConfig encoder;
  std::string extractor_mode = "default";
  std::string activation_fn = "gelu";
  std::string layer_type = "transformer";
  std::int64_t encoder_layers = 12;
  std::string override_encoder_layers;
  std::vector<std::int64_t> label_rate_ratios;
  std::int64_t conv_adapator_kernal = 0;
  std::int64_t pos_conv_depth = 1;
  std::int64_t sample_rate = kSampleRateHz;
  double residual_scale = 0.4;
  bool use_plain_updownsample = false;
  bool normalize = false;

  void fields(Fields& f) {
    f.numbers("conv_dim", encoder.conv_dim, "channels of the stem's convolutions");
    f.numbers("conv_kernel", encoder.conv_kernel, "their kernels");
    f.numbers("conv_stride", encoder.conv_stride, "their strides");
    f.flag("conv_bias", encoder.conv_bias, "they have biases");
    f.text("extractor_mode", extractor_mode, "norms of the stem", {"default", "layer_norm"});
    f.text("activation_fn", activation_fn, "of the layers", {"gelu"});
    f.text("layer_type", layer_type, "kind of layer", {"transformer"});
    f.number("encoder_layers", encoder_layers, "layers of each block", at_least(1));
    f.text("override_encoder_layers", override_encoder_layers, "a list such as [2,1,2]: layers of each block");
    f.number("encoder_embed_dim", encoder.hidden_size, "width of the encoder", at_least(1));
    f.number("encoder_ffn_embed_dim", encoder.intermediate_size, "width between the linears of a layer", at_least(1));
    f.number("encoder_attention_heads", encoder.num_attention_heads, "heads of a layer", at_least(1));
    f.flag("layer_norm_first", encoder.do_stable_layer_norm, "pre-LN");
    f.number("conv_pos", encoder.num_conv_pos_embeddings, "kernel of the positional convolution", at_least(1));
    f.number("conv_pos_groups", encoder.num_conv_pos_embedding_groups, "its groups", at_least(1));
    f.number("pos_conv_depth", pos_conv_depth, "positional convolutions", {1, 1});
    f.numbers("label_rate_ratios", label_rate_ratios, "pairs (r0, r1): the rate changes by r0 / r1");
    f.number("conv_adapator_kernal", conv_adapator_kernal, "kernel of the adapters between rates; 0: as the weights",
             at_least(0));
    f.number("residual_scale", residual_scale, "of the adapters, before its square root", at_least(0));
    f.flag("use_plain_updownsample", use_plain_updownsample, "adapters of one convolution");
    f.flag("normalize", normalize, "normalised waves, eps 1e-5");
    f.number("sample_rate", sample_rate, "of the waves", {kSampleRateHz, kSampleRateHz});
  }
};

const std::set<std::string>& keys_without_effect() {
  static const std::set<std::string> keys = {"_name",
                                             "activation_dropout",
                                             "attention_dropout",
                                             "checkpoint_activations",
                                             "conv_feature_layers",
                                             "dropout",
                                             "dropout_features",
                                             "dropout_input",
                                             "encoder_layerdrop",
                                             "feature_grad_mult",
                                             "final_dim",
                                             "label_rate",
                                             "latent_temp",
                                             "logit_temp",
                                             "mask_channel_length",
                                             "mask_channel_min_space",
                                             "mask_channel_other",
                                             "mask_channel_prob",
                                             "mask_channel_selection",
                                             "mask_length",
                                             "mask_min_space",
                                             "mask_other",
                                             "mask_prob",
                                             "mask_selection",
                                             "model_type",
                                             "no_mask_channel_overlap",
                                             "no_mask_overlap",
                                             "required_seq_len_multiple",
                                             "skip_masked",
                                             "skip_nomask",
                                             "target_glu",
                                             "untie_final_proj",
                                             "use_multi_stream",
                                             "use_single_prediction",
                                             "use_single_target"};
  return keys;
}

// Layers of every block in order of execution. fairseq builds decoders[i] from entry len - 1 - i of the list and runs
// decoders[0] first: 3-2-2-2-3 of three rates executes as 3-2-2-3-2.
std::vector<std::int64_t> layers_of(const MrKeys& keys, const std::string& place) {
  const std::size_t blocks = keys.label_rate_ratios.size() + 1;
  if (keys.override_encoder_layers.empty()) return std::vector<std::int64_t>(blocks, keys.encoder_layers);
  const std::string key = place + " /override_encoder_layers";
  const Json list = parse_json(keys.override_encoder_layers, key);
  bool good = list.is_array() && list.size() == blocks;
  for (const Json& entry : list) good = good && entry.is_number_integer() && entry.get<std::int64_t>() >= 1;
  if (!good)
    throw ConfigError(
        fmt::format("{}: {} is not allowed; takes a list of {} integers of at least 1", key, shown(list), blocks));
  std::vector<std::int64_t> layers;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t decoder = i - (blocks / 2 + 1);
    layers.push_back(list[i <= blocks / 2 ? i : blocks - 1 - decoder].get<std::int64_t>());
  }
  return layers;
}

// A stage's frames are a whole number of samples apart, and not more than a number holds.
void check_hops(const MrConfig& config, const std::string& place) {
  constexpr std::int64_t kLongest = std::int64_t{1} << 31;
  std::int64_t hop = stem_hop(config.encoder);
  for (const RateRatio& ratio : config.ratios) {
    if (__builtin_mul_overflow(hop, ratio.r1, &hop) || hop / ratio.r0 < 1 || (hop /= ratio.r0) > kLongest)
      throw ConfigError(
          fmt::format("{} /label_rate_ratios: the frames of a block are no possible number of samples apart", place));
  }
}

MrConfig make_config(const MrKeys& keys, const std::string& place) {
  const auto fail = [&](const std::string& message) { throw ConfigError(place + " " + message); };
  const std::vector<std::int64_t>& ratios = keys.label_rate_ratios;
  MrConfig config{keys.encoder, {}, {}, keys.conv_adapator_kernal, keys.residual_scale, keys.use_plain_updownsample};
  config.encoder.layer_norm_eps = kFairseqEps;
  config.encoder.feat_extract_norm = keys.extractor_mode == "layer_norm" ? "layer" : "group";
  if (ratios.empty() || ratios.size() % 2 != 0) fail("/label_rate_ratios: takes a list of pairs, at least one");
  if (ratios.size() > 2 * kMostChanges) fail(fmt::format("/label_rate_ratios: takes at most {} pairs", kMostChanges));
  for (std::size_t i = 0; i < ratios.size(); i += 2) {
    if (ratios[i] < 1 || ratios[i + 1] < 1) fail("/label_rate_ratios: takes integers of at least 1");
    if (config.plain_adapters && ratios[i] != 1) fail("/use_plain_updownsample: needs ratios whose first number is 1");
    config.ratios.push_back({ratios[i], ratios[i + 1]});
  }
  if (keys.encoder.hidden_size % keys.encoder.num_attention_heads != 0) {
    fail("/encoder_embed_dim: is no multiple of encoder_attention_heads");
  }
  if (keys.encoder.hidden_size % keys.encoder.num_conv_pos_embedding_groups != 0)
    fail("/encoder_embed_dim: is no multiple of conv_pos_groups");
  check_encoder_config(config.encoder, place);
  config.layers = layers_of(keys, place);
  for (const std::int64_t layers : config.layers) check_layers(layers, place);
  check_hops(config, place);
  return config;
}

FolderUpstream::Model read_mr_model(const SpeechOptions& options, const ModelPlace& given) {
  ModelSource source = read_model_source("mr-hubert", "", given.path);
  const Json& json = source.config;
  const std::string& place = source.config_place;
  MrKeys keys;
  FieldReader reader(json, place);
  keys.fields(reader);
  FolderUpstream::Model model;
  model.config = options_to_json(keys);
  model.config.erase("conv_adapator_kernal");  // the weights' shapes say it
  warn_of_unknown_keys(json, place, options_to_json(keys), keys_without_effect());
  const MrConfig config = make_config(keys, place);
  model.family = "mr-hubert";
  model.features_version = kFeaturesVersion;
  model.place = source.place;
  model.hop = stem_hop(config.encoder);
  model.windows = make_windows(options.window_seconds, options.context_seconds, model.hop, source.place);
  model.device = given.device;
  model.arithmetic = options.arithmetic(source.place, given.device);
  model.wave_norm = options.choose({keys.normalize, kFairseqEps});
  const MrTaps taps = mr_taps(config);
  model.spec = taps.spec;
  model.layer_list = taps.layer_list;
  model.spec.taps.push_back({"input", 1, 1});
  model.checkpoint = std::move(source.weights);
  model.spelling = std::move(source.spelling);
  // The adapters' kernels, on which their numbers of frames depend, may only be known from the weights.
  const auto bound = std::make_shared<std::shared_ptr<const MrEncoder>>();
  model.bind = [config, bound](const WeightReader& weights) -> FolderUpstream::Encoder {
    const auto encoder = std::make_shared<const MrEncoder>(config, weights);
    if (!*bound) *bound = encoder;
    return {[encoder](const at::Tensor& wave) { return encoder->stem(wave); },
            [encoder](const at::Tensor& frames, TapCollector& taps) { (*encoder)(frames, taps); }};
  };
  model.frames = [bound, stages = taps.stages](std::size_t tap, std::int64_t samples) {
    return tap < stages.size() ? (*bound)->frames(samples)[stages[tap]] : samples;  // the last tap is "input"
  };
  return model;
}

class MrHubert : public FolderUpstream {
 public:
  MrHubert(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_mr_model(options, place)) {}
};

STRATA_REGISTER_UPSTREAM(
    "mr-hubert", SpeechOptions, MrHubert,
    "multi-resolution HuBERT: fairseq's checkpoint, or its weights in a folder with a flat config.json");

}  // namespace
}  // namespace strata

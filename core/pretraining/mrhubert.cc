#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/pretraining/masked_encoding.h"
#include "core/pretraining/model_folder.h"
#include "core/pretraining/model_sizes.h"
#include "core/pretraining/trainable.h"
#include "core/pretraining/unit_head.h"
#include "core/upstreams/fairseq_names.h"
#include "core/upstreams/mr_encoder.h"
#include "core/upstreams/preprocessing.h"

namespace strata {
namespace {

constexpr const char* kMask = "mask_emb";
constexpr double kFairseqEps = 1e-5;

struct MrHubertOptions {
  ModelSizes sizes;
  ModelNorms norms;
  std::int64_t resolutions = 2;
  bool downsample = true;
  bool low_resolution_loss = true;
  std::vector<std::int64_t> layers = {1, 2, 1};
  std::int64_t adapter_kernel = 1;
  bool plain_adapters = false;
  UnitOptions units;

  void fields(Fields& f) {
    sizes.fields(f);
    norms.fields(f);
    f.number("resolutions", resolutions, "frame rates, each half the one before", between(2, 5));
    f.flag("downsample", downsample, "off: the same modules, all at the finest rate");
    f.flag("low_resolution_loss", low_resolution_loss, "units are predicted at each rate, not only at the finest");
    f.numbers("layers", layers, "of each block in order of execution: one less than twice the resolutions");
    f.number("adapter_kernel", adapter_kernel, "of the convolutions between rates; odd", at_least(1));
    f.flag("plain_adapters", plain_adapters, "one convolution between two rates, not two");
    units.fields(f);
  }
};

MrConfig config_of(const MrHubertOptions& options) {
  const auto changes = static_cast<std::size_t>(options.resolutions - 1);
  if (options.layers.size() != 2 * changes + 1) {
    throw ConfigError(fmt::format("layers has {} entries; {} resolutions take {}", options.layers.size(),
                                  options.resolutions, 2 * changes + 1));
  }
  for (const std::int64_t count : options.layers) {
    if (count < 1) throw ConfigError(fmt::format("layers has the entry {}; each takes at least 1", count));
  }
  if (options.adapter_kernel % 2 == 0)
    throw ConfigError(fmt::format("adapter_kernel is {}, but must be odd", options.adapter_kernel));
  MrConfig config;
  config.encoder = options.sizes.config(1, options.norms.family());
  config.ratios.assign(changes, {1, options.downsample ? 2 : 1});
  config.layers = options.layers;
  config.adapter_kernel = options.adapter_kernel;
  config.plain_adapters = options.plain_adapters;
  return config;
}

std::vector<WeightSpec> adapter_weights(const MrConfig& config, RateRatio ratio) {
  const std::int64_t width = config.encoder.hidden_size, kernel = config.adapter_kernel;
  const bool down = !config.plain_adapters || ratio.r0 == 1, up = !config.plain_adapters || !down;
  std::vector<WeightSpec> all;
  for (const auto& [half, there] : {std::pair<std::string, bool>{"upsample_conv", up}, {"downsample_conv", down}}) {
    if (!there) continue;
    all.push_back({half + ".0.weight", {width, width, kernel}, WeightRole::kProjection, width * kernel});
    append_weights(all, "", norm_weights(half + ".2", width));
  }
  return all;
}

/// By the modules' names.
std::vector<WeightSpec> mr_weights(const MrConfig& config) {
  std::vector<WeightSpec> all = stem_weights(config.encoder);
  const std::size_t changes = config.ratios.size();
  const auto block = [&](const std::string& name, std::size_t place) {
    append_weights(all, name, norm_weights("layer_norm", config.encoder.hidden_size));
    for (std::int64_t i = 0; i < config.layers[place]; ++i)
      append_weights(all, fmt::format("{}.layers.{}", name, i), layer_weights(config.encoder));
  };
  append_weights(all, "encoders.0", position_weights(config.encoder));
  for (std::size_t i = 0; i < changes; ++i) {
    block(fmt::format("encoders.{}", i), i);
    append_weights(all, fmt::format("downsample_modules.{}", i), adapter_weights(config, config.ratios[i]));
  }
  block("middle_encoder", changes);
  for (std::size_t i = 0; i < changes; ++i) {
    append_weights(all, fmt::format("upsample_modules.{}", i), adapter_weights(config, config.ratios[i].reversed()));
    block(fmt::format("decoders.{}", i), changes + 1 + i);
  }
  return all;
}

/// MR-HuBERT's masked prediction of units at several frame rates (arXiv:2310.02720, fairseq's multires_hubert with
/// `use_single_target`): the sum of HuBERT's loss over the rates, each with a head of its own, per masked frame of the
/// finest. A slower frame has the unit and the mask of the 20 ms frame at its start; at the finest rate the mask is the
/// input's, where fairseq's has gone down to the slowest and back.
class MrHubertObjective : public Objective {
 public:
  explicit MrHubertObjective(const MrHubertOptions& options)
      : options_(options),
        config_(config_of(options)),
        wave_norm_{options.sizes.normalize, kFairseqEps},
        spelling_(fairseq_spelling(config_.encoder.layer_stem(), /*weight_g=*/true)) {
    weights_.push_back({kMask, {config_.encoder.hidden_size}, WeightRole::kEmbedding, 1});
    append_weights(weights_, "", mr_weights(config_));
    for (WeightSpec& spec : weights_) spec.name = spelling_(spec.name);
    const std::int64_t heads = options.low_resolution_loss ? options.resolutions : 1;
    for (std::int64_t level = 0; level < heads; ++level) {
      heads_.emplace_back(options.units, fmt::format("final_projs.{}", level),
                          fmt::format("label_embs_concat.{}", level));
      append_weights(weights_, "", heads_.back().weights(config_.encoder.hidden_size));
    }
    specs_ = parameters_of(weights_);
    choose_outputs();
  }

  const std::vector<ParameterSpec>& specs() const override { return specs_; }
  at::Tensor initial(std::uint64_t seed) const override { return initial_weights(weights_, seed); }
  std::int64_t classes() const override { return options_.units.classes; }
  std::int64_t unit_hop_samples() const override { return stem_hop(config_.encoder); }
  std::int64_t frames(std::int64_t samples) const override { return stem_frames(config_.encoder, samples); }

  ObjectiveSums forward(const Parameters& parameters, std::span<const PretrainUtterance> utterances,
                        const Pass& pass) const override {
    const Autocast lowered = autocast_of(parameters, options_.sizes.compute);
    const MrEncoder encoder(config_, reader_of(parameters, options_.sizes.compute, spelling_));
    ObjectiveSums sums;
    for (const PretrainUtterance& utterance : utterances) sums.add(forward_one(encoder, parameters, utterance, pass));
    return sums;
  }

  void write_model(const std::filesystem::path& folder, const Parameters& parameters) const override {
    const EncoderConfig& encoder = config_.encoder;
    // fairseq builds decoders[i] from entry len - 1 - i of the list.
    std::vector<std::int64_t> layers = config_.layers;
    std::reverse(layers.begin() + config_.ratios.size() + 1, layers.end());
    std::vector<std::int64_t> ratios;
    for (const RateRatio& ratio : config_.ratios) ratios.insert(ratios.end(), {ratio.r0, ratio.r1});
    const Json config = {{"model_type", "mr-hubert"},
                         {"conv_dim", encoder.conv_dim},
                         {"conv_kernel", encoder.conv_kernel},
                         {"conv_stride", encoder.conv_stride},
                         {"conv_bias", encoder.conv_bias},
                         {"extractor_mode", encoder.layer_stem() ? "layer_norm" : "default"},
                         {"activation_fn", "gelu"},
                         {"layer_type", "transformer"},
                         {"encoder_layers", layers.front()},
                         {"override_encoder_layers", fmt::format("[{}]", fmt::join(layers, ","))},
                         {"encoder_embed_dim", encoder.hidden_size},
                         {"encoder_ffn_embed_dim", encoder.intermediate_size},
                         {"encoder_attention_heads", encoder.num_attention_heads},
                         {"layer_norm_first", encoder.do_stable_layer_norm},
                         {"conv_pos", encoder.num_conv_pos_embeddings},
                         {"conv_pos_groups", encoder.num_conv_pos_embedding_groups},
                         {"label_rate_ratios", ratios},
                         {"conv_adapator_kernal", config_.adapter_kernel},
                         {"residual_scale", config_.residual_scale},
                         {"use_plain_updownsample", config_.plain_adapters},
                         {"use_single_target", true},
                         {"use_single_prediction", !options_.low_resolution_loss},
                         {"final_dim", options_.units.final_dim},
                         {"logit_temp", options_.units.temperature},
                         {"mask_prob", options_.units.mask.probability},
                         {"mask_length", options_.units.mask.length},
                         {"normalize", wave_norm_.normalize},
                         {"sample_rate", kSampleRateHz}};
    write_model_folder(folder, model_weights(parameters, {}), config, nullptr);
  }

 private:
  ObjectiveSums forward_one(const MrEncoder& encoder, const Parameters& parameters, const PretrainUtterance& utterance,
                            const Pass& pass) const {
    const std::int64_t count = frames(utterance.wave.size(0));
    check_frames(count, utterance.wave);
    const PredictedFrames chosen = predicted_frames(options_.units, count, utterance, pass);
    const MaskedEncoding encoded = encode_masked(encoder, options_.sizes, wave_norm_, {outputs_.spec, wanted_},
                                                 utterance, pass, chosen.masked, parameters[kMask]);

    const FullPrecision exact;
    ObjectiveSums sums = loss_at(parameters, encoded.states[0], chosen, 0);
    for (std::size_t level = 1; level < heads_.size(); ++level) {
      const std::int64_t factor = options_.downsample ? std::int64_t{1} << level : 1;
      sums.loss = sums.loss + loss_at(parameters, encoded.states[level], at_slower_rate(chosen, factor), level).loss;
    }
    if (options_.units.feature_penalty > 0)
      sums.loss = sums.loss + feature_penalty(encoded.frames, options_.units.feature_penalty * sums.weight);
    return sums;
  }

  /// The sums after each rate's blocks, from the finest, for which there are heads.
  void choose_outputs() {
    outputs_ = mr_taps(config_);
    const std::size_t changes = config_.ratios.size();
    for (std::size_t level = 0; level < heads_.size(); ++level) {
      const std::string name = level == changes ? "m.res" : fmt::format("d{}.res", changes - 1 - level);
      for (std::size_t tap = 0; tap < outputs_.spec.taps.size(); ++tap) {
        if (outputs_.spec.taps[tap].name == name) wanted_.push_back(tap);
      }
    }
  }

  ObjectiveSums loss_at(const Parameters& parameters, const at::Tensor& states, const PredictedFrames& chosen,
                        std::size_t level) const {
    return masked_prediction(heads_[level], options_.units, parameters, states, chosen);
  }

  MrHubertOptions options_;
  MrConfig config_;
  WaveNorm wave_norm_;
  WeightReader::Spelling spelling_;
  std::vector<UnitHead> heads_;  // by rate, from the finest
  std::vector<WeightSpec> weights_;
  std::vector<ParameterSpec> specs_;
  MrTaps outputs_;
  std::vector<std::size_t> wanted_;  // one for each head
};

STRATA_REGISTER_OBJECTIVE("mrhubert", MrHubertOptions, MrHubertObjective,
                          "MR-HuBERT: HuBERT's prediction of units at several frame rates");

}  // namespace
}  // namespace strata

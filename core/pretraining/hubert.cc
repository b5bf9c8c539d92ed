#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include "core/pretraining/masked_encoding.h"
#include "core/pretraining/model_folder.h"
#include "core/pretraining/model_sizes.h"
#include "core/pretraining/trainable.h"
#include "core/pretraining/unit_head.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/speech_encoder.h"

namespace strata {
namespace {

constexpr const char* kMask = "masked_spec_embed";

struct HubertOptions {
  ModelSizes sizes;
  ModelNorms norms;
  std::int64_t layers = 4;
  UnitOptions units;

  void fields(Fields& f) {
    sizes.fields(f);
    norms.fields(f);
    f.number("layers", layers, "transformer layers", at_least(1));
    units.fields(f);
  }
};

/// HuBERT's masked prediction of k-means units (arXiv:2106.07447): the loss is the cross entropy of the masked frames'
/// units, with that of the others times `unmasked_weight` and fairseq's penalty of the stem's output.
class HubertObjective : public Objective {
 public:
  explicit HubertObjective(const HubertOptions& options)
      : options_(options),
        config_(options.sizes.config(options.layers, options.norms.family())),
        wave_norm_{options.sizes.normalize},
        head_(options.units, "final_proj", "label_embs_concat") {
    weights_.push_back({kMask, {config_.hidden_size}, WeightRole::kEmbedding, 1});
    append_weights(weights_, "", encoder_weights(config_));
    for (WeightSpec& spec : head_.weights(config_.hidden_size)) {
      heads_.insert(spec.name);
      weights_.push_back(std::move(spec));
    }
    specs_ = parameters_of(weights_);
    encoder_output_ = encoder_spec(config_);
  }

  const std::vector<ParameterSpec>& specs() const override { return specs_; }
  at::Tensor initial(std::uint64_t seed) const override { return initial_weights(weights_, seed); }
  std::int64_t classes() const override { return options_.units.classes; }
  std::int64_t unit_hop_samples() const override { return stem_hop(config_); }
  std::int64_t frames(std::int64_t samples) const override { return stem_frames(config_, samples); }

  ObjectiveSums forward(const Parameters& parameters, std::span<const PretrainUtterance> utterances,
                        const Pass& pass) const override {
    const Autocast lowered = autocast_of(parameters, options_.sizes.compute);
    const SpeechEncoder encoder(config_, reader_of(parameters, options_.sizes.compute));
    ObjectiveSums sums;
    for (const PretrainUtterance& utterance : utterances) sums.add(forward_one(encoder, parameters, utterance, pass));
    return sums;
  }

  void write_model(const std::filesystem::path& folder, const Parameters& parameters) const override {
    EncoderConfig config = config_;
    FieldWriter written;
    hubert_fields(config, written);
    Json& json = written.object;
    json["model_type"] = "hubert";
    json["architectures"] = {"HubertModel"};
    json["num_feat_extract_layers"] = config.conv_dim.size();
    json["mask_time_prob"] = options_.units.mask.probability;
    json["mask_time_length"] = options_.units.mask.length;
    json["torch_dtype"] = "float16";
    write_model_folder(folder, model_weights(parameters, heads_), json, preprocessor_config(wave_norm_.normalize));
  }

 private:
  ObjectiveSums forward_one(const SpeechEncoder& encoder, const Parameters& parameters,
                            const PretrainUtterance& utterance, const Pass& pass) const {
    const std::int64_t count = frames(utterance.wave.size(0));
    check_frames(count, utterance.wave);
    const PredictedFrames chosen = predicted_frames(options_.units, count, utterance, pass);
    const TapCollector last(encoder_output_, {static_cast<std::size_t>(config_.num_hidden_layers)});
    const MaskedEncoding encoded =
        encode_masked(encoder, options_.sizes, wave_norm_, last, utterance, pass, chosen.masked, parameters[kMask]);

    const FullPrecision exact;
    ObjectiveSums sums = masked_prediction(head_, options_.units, parameters, encoded.states[0], chosen);
    if (options_.units.feature_penalty > 0)
      sums.loss = sums.loss + feature_penalty(encoded.frames, options_.units.feature_penalty * sums.weight);
    return sums;
  }

  HubertOptions options_;
  EncoderConfig config_;
  WaveNorm wave_norm_;
  UnitHead head_;
  std::vector<WeightSpec> weights_;
  std::vector<ParameterSpec> specs_;
  std::set<std::string> heads_;
  FeatureSpec encoder_output_;
};

STRATA_REGISTER_OBJECTIVE("hubert", HubertOptions, HubertObjective,
                          "HuBERT: predicts the k-means units of masked frames");

}  // namespace
}  // namespace strata

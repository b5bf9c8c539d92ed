#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/pretraining/ema_teacher.h"
#include "core/pretraining/masked_encoding.h"
#include "core/pretraining/model_folder.h"
#include "core/pretraining/model_sizes.h"
#include "core/pretraining/regression_loss.h"
#include "core/pretraining/span_mask.h"
#include "core/pretraining/trainable.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/speech_encoder.h"

namespace strata {
namespace {

constexpr const char* kMask = "masked_spec_embed";
constexpr const char* kHead = "final_proj";

struct Data2VecOptions {
  ModelSizes sizes;
  std::int64_t layers = 4;
  std::int64_t position_blocks = 5;
  std::int64_t position_kernel = 19;
  std::int64_t top_layers = 3;
  double beta = 0.0;
  SpanMask mask{0.65, 10, 1};
  EmaOptions ema;

  void fields(Fields& f) {
    sizes.fields(f);
    f.number("layers", layers, "transformer layers", at_least(1));
    f.number("position_blocks", position_blocks,
             "convolutions of the positional stack, one behind the other; frames as near an end as it sees know how "
             "far it is, which a teacher of short utterances can come to say mostly",
             at_least(1));
    f.number("position_kernel", position_kernel, "frames that each of them sees", at_least(1));
    f.number("average_top_layers", top_layers, "of the teacher whose average is the target; 8 of 12 as published",
             at_least(1));
    f.number("loss_beta", beta, "where the smooth L1 goes from square to straight; 0: squares", at_least(0));
    mask.fields(f);
    ema.fields(f);
  }

  EncoderConfig config() const {
    EncoderConfig family = data2vec_config();
    family.num_conv_pos_embeddings = position_blocks;
    family.conv_pos_kernel_size = position_kernel;
    return sizes.config(layers, family);
  }
};

/// data2vec's regression of a teacher's states (arXiv:2202.03555), as fairseq's data2vec_audio does it: the teacher
/// sees the utterance unmasked; the target of a masked frame is the mean of the normalised feed forward outputs of the
/// teacher's top layers, which a linear on the student's output must give.
class Data2VecObjective : public Objective {
 public:
  explicit Data2VecObjective(const Data2VecOptions& options)
      : options_(options),
        config_(options.config()),
        wave_norm_{options.sizes.normalize},
        teacher_(config_, options.ema),
        encoder_output_(encoder_spec(config_)) {
    if (options.top_layers > options.layers) {
      throw ConfigError(
          fmt::format("average_top_layers is {}, but there are {} layers", options.top_layers, options.layers));
    }
    weights_.push_back({kMask, {config_.hidden_size}, WeightRole::kEmbedding, 1});
    append_weights(weights_, "", encoder_weights(config_));
    append_weights(weights_, "", head_weights(kHead, config_.hidden_size, config_.hidden_size));
    specs_ = parameters_of(weights_);
  }

  const std::vector<ParameterSpec>& specs() const override { return specs_; }
  at::Tensor initial(std::uint64_t seed) const override { return initial_weights(weights_, seed); }
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

  void start(const Parameters& parameters) override { teacher_.start(parameters); }
  void after_step(const Parameters& parameters, std::uint64_t step) override { teacher_.follow(parameters, step); }
  NamedTensors state() const override { return teacher_.state(); }
  void load_state(const NamedTensors& state) override { teacher_.load_state(state); }

  void write_model(const std::filesystem::path& folder, const Parameters& parameters) const override {
    EncoderConfig config = config_;
    FieldWriter written;
    data2vec_fields(config, written);
    Json& json = written.object;
    json["model_type"] = "data2vec-audio";
    json["architectures"] = {"Data2VecAudioModel"};
    json["num_feat_extract_layers"] = config.conv_dim.size();
    json["mask_time_prob"] = options_.mask.probability;
    json["mask_time_length"] = options_.mask.length;
    json["torch_dtype"] = "float16";
    const std::string head = kHead;
    write_model_folder(folder, model_weights(parameters, {head + ".weight", head + ".bias"}), json,
                       preprocessor_config(wave_norm_.normalize));
  }

 private:
  ObjectiveSums forward_one(const SpeechEncoder& encoder, const Parameters& parameters,
                            const PretrainUtterance& utterance, const Pass& pass) const {
    const std::int64_t count = frames(utterance.wave.size(0));
    check_frames(count, utterance.wave);
    RandomStream random({pass.seed, key_of("mask"), pass.step, utterance.key});
    const std::vector<std::int64_t> chosen = options_.mask.draw(count, random);
    const TapCollector last(encoder_output_, {static_cast<std::size_t>(config_.num_hidden_layers)});
    const MaskedEncoding encoded =
        encode_masked(encoder, options_.sizes, wave_norm_, last, utterance, pass, chosen, parameters[kMask]);
    const std::vector<at::Tensor> heard = teacher_.feed_forward_outputs(encoded.projected, options_.top_layers);
    const FullPrecision exact;
    const at::Tensor masked = index_tensor(chosen, encoded.projected);
    const at::Tensor predicted =
        at::linear(encoded.states[0].index_select(0, masked), parameters[std::string(kHead) + ".weight"],
                   parameters[std::string(kHead) + ".bias"]);
    const at::Tensor targets = average_targets(heard).index_select(0, masked);
    const auto weight = static_cast<double>(masked.size(0));
    ObjectiveSums sums;
    sums.loss = regression_loss(predicted, targets, options_.beta);
    sums.weight = weight;
    sums.target_spread = weight * column_spread(targets);
    sums.prediction_spread = weight * column_spread(predicted.detach());
    return sums;
  }

  Data2VecOptions options_;
  EncoderConfig config_;
  WaveNorm wave_norm_;
  EmaTeacher teacher_;
  FeatureSpec encoder_output_;
  std::vector<WeightSpec> weights_;
  std::vector<ParameterSpec> specs_;
};

STRATA_REGISTER_OBJECTIVE("data2vec", Data2VecOptions, Data2VecObjective,
                          "data2vec: predicts the states of a slowly following teacher at masked frames");

}  // namespace
}  // namespace strata

#include "core/upstreams/speech_family.h"

#include <memory>

#include "core/upstreams/model_source.h"
#include "core/upstreams/speech_encoder.h"

namespace strata {
namespace {

constexpr int kFeaturesVersion = 2;  // 2: stem and positions as matrix products, layers in windows

}  // namespace

FolderUpstream::Model read_speech_model(const SpeechFamily& family, const SpeechOptions& options,
                                        const ModelPlace& place) {
  ModelSource source = read_model_source(family.name, family.prefix, place.path);
  EncoderConfig config = read_encoder_config(source.config, source.config_place, family.defaults, family.fields);
  FolderUpstream::Model model;
  model.family = family.name;
  model.features_version = kFeaturesVersion;
  model.place = source.place;
  model.hop = stem_hop(config);
  model.windows = make_windows(options.window_seconds, options.context_seconds, model.hop, source.place);
  model.device = place.device;
  model.arithmetic = options.arithmetic(source.place, place.device);
  model.wave_norm = options.choose(source.wave_norm ? *source.wave_norm : read_wave_norm(place.path, config.layer_stem()));
  model.spec = encoder_spec(config);
  model.spec.taps.push_back({"input", 1, 1});
  model.layer_list = config.num_hidden_layers + 1;
  model.checkpoint = std::move(source.weights);
  model.spelling = std::move(source.spelling);
  model.bind = [config](const WeightReader& weights) -> FolderUpstream::Encoder {
    const auto encoder = std::make_shared<const SpeechEncoder>(config, weights);
    return {[encoder](const at::Tensor& wave) { return encoder->stem(wave); },
            [encoder](const at::Tensor& frames, TapCollector& taps) { (*encoder)(frames, taps); }};
  };
  const std::size_t input = model.spec.taps.size() - 1;
  model.frames = [config, input](std::size_t tap, std::int64_t samples) {
    return tap == input ? samples : stem_frames(config, samples);
  };
  FieldWriter used;
  family.fields(config, used);
  model.config = used.object;
  return model;
}

}  // namespace strata

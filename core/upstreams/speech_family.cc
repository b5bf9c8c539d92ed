#include "core/upstreams/speech_family.h"

#include <memory>

#include "core/base/file.h"
#include "core/upstreams/checkpoint.h"
#include "core/upstreams/speech_encoder.h"

namespace strata {
namespace {

constexpr int kFeaturesVersion = 1;

// Files written by old versions of torch spell the weight norm of the positional convolution g and v.
WeightReader::Spelling weight_norm_spelling(const NamedTensors& tensors) {
  const std::string conv = "encoder.pos_conv_embed.conv.";
  if (!tensors.contains(conv + "weight_g")) return nullptr;
  return [conv](const std::string& name) {
    if (name == conv + "parametrizations.weight.original0") return conv + "weight_g";
    if (name == conv + "parametrizations.weight.original1") return conv + "weight_v";
    return name;
  };
}

}  // namespace

FolderUpstream::Model read_speech_model(const SpeechFamily& family, const SpeechOptions& options,
                                        const fs::path& folder) {
  require_folder(family.name, folder);
  const fs::path path = folder / "config.json";
  EncoderConfig config = read_encoder_config(read_json(path), path.string(), family.defaults, family.fields);
  FolderUpstream::Model model;
  model.family = family.name;
  model.features_version = kFeaturesVersion;
  model.place = folder.string();
  model.wave_norm = options.choose(read_wave_norm(folder, config.layer_stem()));
  model.spec = encoder_spec(config);
  model.spec.taps.push_back({"input", 1, 1});
  model.layer_list = config.num_hidden_layers + 1;
  model.checkpoint = bare_model(read_checkpoint(folder), family.prefix, folder.string());
  model.spelling = weight_norm_spelling(model.checkpoint);
  model.bind = [config](const WeightReader& weights) -> FolderUpstream::Encode {
    const auto encoder = std::make_shared<const SpeechEncoder>(config, weights);
    return [encoder](const at::Tensor& wave, TapCollector& taps) { (*encoder)(wave, taps); };
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

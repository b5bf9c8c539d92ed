#include "core/upstreams/model_source.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/checkpoint.h"
#include "core/upstreams/fairseq_checkpoint.h"
#include "core/upstreams/fairseq_names.h"

namespace strata {
namespace {

constexpr const char* kMultiResolution = "mr-hubert";  // has fairseq's names in folders too: there are no others

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool layer_stem(const Json& config) {
  const auto says = [&](const char* key, const char* value) {
    const auto found = config.find(key);
    return found != config.end() && *found == value;
  };
  return says("feat_extract_norm", "layer") || says("extractor_mode", "layer_norm") ||
         says("model_type", "data2vec-audio");
}

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

bool has_old_weight_norm(const NamedTensors& tensors) {
  return tensors.contains("encoder.pos_conv.0.weight_g") || tensors.contains("encoders.0.pos_conv.0.weight_g");
}

}  // namespace

Json read_model_config(const fs::path& path) {
  return is_file(path) ? read_fairseq_checkpoint(path).config : read_json(path / "config.json");
}

ModelSource read_model_source(const std::string& family, const std::string& prefix, const fs::path& path) {
  if (path.empty()) {
    throw ConfigError(fmt::format(
        "upstream \"{}\" is a family of models: name a folder with config.json and weights, a checkpoint of "
        "fairseq, or user/name in the Hugging Face cache",
        family));
  }
  ModelSource source;
  source.place = path.string();
  if (is_file(path)) {
    FairseqCheckpoint checkpoint = read_fairseq_checkpoint(path);
    source.config_place = checkpoint.config_place;
    source.config = std::move(checkpoint.config);
    source.weights = bare_model(std::move(checkpoint.weights), "w2v_encoder.w2v_model.", source.place);
    source.wave_norm = checkpoint.wave_norm;
  } else {
    source.config_place = (path / "config.json").string();
    source.config = read_json(path / "config.json");
    source.weights = bare_model(read_checkpoint(path), prefix, source.place);
  }
  const bool fairseq_names = is_file(path) || family == kMultiResolution;
  source.spelling = fairseq_names ? fairseq_spelling(layer_stem(source.config), has_old_weight_norm(source.weights))
                                  : weight_norm_spelling(source.weights);
  return source;
}

}  // namespace strata

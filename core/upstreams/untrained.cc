#include "core/upstreams/untrained.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/encoder_config.h"
#include "core/upstreams/encoder_weights.h"

namespace strata {
namespace {

/// Weights by name, each drawn from a stream of its own, so that none depends on the order or the number of the others.
class RandomWeights {
 public:
  explicit RandomWeights(std::int64_t seed) : seed_(seed) {}

  void normal(const std::string& name, const std::vector<std::int64_t>& shape, double deviation) {
    RandomStream random({static_cast<std::uint64_t>(seed_), key_of(name)});
    at::Tensor tensor = at::empty(shape, at::kFloat);
    float* out = tensor.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) out[i] = static_cast<float>(deviation * random.normal());
    tensors[name] = tensor;
  }

  void constant(const std::string& name, std::int64_t size, double value) {
    tensors[name] = at::full({size}, value, at::kFloat);
  }

  NamedTensors tensors;

 private:
  std::int64_t seed_;
};

EncoderConfig config_of(const UntrainedOptions& options) {
  EncoderConfig config;
  std::int64_t hop_ms = 20;
  for (; hop_ms < options.hop_ms; hop_ms *= 2) {
    config.conv_dim.push_back(0);
    config.conv_kernel.push_back(2);
    config.conv_stride.push_back(2);
  }
  if (hop_ms != options.hop_ms) throw ConfigError(fmt::format("hop_ms is {}, but must be 20, 40, 80, 160 or 320", options.hop_ms));
  config.conv_dim.assign(config.conv_dim.size(), options.conv_dim);
  config.hidden_size = options.hidden_size;
  config.num_hidden_layers = options.layers;
  config.num_attention_heads = options.heads;
  config.intermediate_size = options.intermediate_size;
  return config;
}

NamedTensors make_weights(const EncoderConfig& c, std::int64_t seed) {
  RandomWeights weights(seed);
  weights.normal("masked_spec_embed", {c.hidden_size}, 1.0);
  std::string direction;  // of the positional convolution
  for (const WeightSpec& spec : encoder_weights(c)) {
    switch (spec.role) {
      case WeightRole::kConvolution:
        weights.normal(spec.name, spec.shape, std::sqrt(2.0 / spec.fan_in));
        break;
      case WeightRole::kPosition:
        direction = spec.name;
        weights.normal(spec.name, spec.shape, 2.0 / std::sqrt(static_cast<double>(spec.shape[2] * c.hidden_size)));
        break;
      case WeightRole::kPositionNorm:
        weights.tensors[spec.name] = weights.tensors.at(direction)
                                         .to(at::kDouble)
                                         .square()
                                         .sum(at::IntArrayRef({0, 1}), /*keepdim=*/true)
                                         .sqrt()
                                         .to(at::kFloat);
        break;
      case WeightRole::kProjection:
      case WeightRole::kLinear:
        weights.normal(spec.name, spec.shape, 1.0 / std::sqrt(static_cast<double>(spec.fan_in)));
        break;
      default:
        weights.constant(spec.name, spec.shape[0], spec.role == WeightRole::kNormWeight ? 1.0 : 0.0);
    }
  }
  return std::move(weights.tensors);
}

std::string model_card(const UntrainedOptions& options) {
  return fmt::format(
      "# UNTRAINED HuBERT\n\n"
      "This model was never trained: its weights are random numbers (seed {}). It has the structure of HuBERT base "
      "with width {}, "
      "{} layers, {} heads, and is there to try out software. Results obtained with it say nothing about HuBERT.\n",
      options.seed, options.hidden_size, options.layers, options.heads);
}

}  // namespace

void write_untrained_hubert(const fs::path& folder, const UntrainedOptions& options) {
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_empty(folder, ignored)) {
    throw ConfigError(
        fmt::format("{}: an untrained model is to be written here, but the folder is not empty", folder.string()));
  }
  EncoderConfig config = config_of(options);
  check_encoder_config(config, folder.string());
  FieldWriter written;
  hubert_fields(config, written);
  Json& json = written.object;
  json["model_type"] = "hubert";
  json["architectures"] = {"HubertModel"};
  json["num_feat_extract_layers"] = config.conv_dim.size();
  make_folder(folder);
  write_safetensors(folder / "model.safetensors", make_weights(config, options.seed), {{"format", "pt"}});
  const Json preprocessor = {{"feature_extractor_type", "Wav2Vec2FeatureExtractor"},
                             {"do_normalize", true},
                             {"feature_size", 1},
                             {"sampling_rate", 16000},
                             {"padding_value", 0.0},
                             {"padding_side", "right"},
                             {"return_attention_mask", false}};
  write_file_atomically(folder / "preprocessor_config.json", preprocessor.dump(2) + "\n");
  write_file_atomically(folder / "README.md", model_card(options));
  write_file_atomically(folder / "config.json", json.dump(2) + "\n");
}

}  // namespace strata

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

  void linear(const std::string& name, std::int64_t in, std::int64_t out) {
    normal(name + ".weight", {out, in}, 1.0 / std::sqrt(static_cast<double>(in)));
    constant(name + ".bias", out, 0.0);
  }

  void norm(const std::string& name, std::int64_t width) {
    constant(name + ".weight", width, 1.0);
    constant(name + ".bias", width, 0.0);
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

void add_stem(const EncoderConfig& c, RandomWeights& weights) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < c.conv_dim.size(); ++i) {
    const std::string layer = fmt::format("feature_extractor.conv_layers.{}", i);
    weights.normal(layer + ".conv.weight", {c.conv_dim[i], in, c.conv_kernel[i]},
                   std::sqrt(2.0 / (in * c.conv_kernel[i])));
    if (i == 0) weights.norm(layer + ".layer_norm", c.conv_dim[i]);
    in = c.conv_dim[i];
  }
  weights.norm("feature_projection.layer_norm", in);
  weights.linear("feature_projection.projection", in, c.hidden_size);
}

void add_positions(const EncoderConfig& c, RandomWeights& weights) {
  const std::string conv = "encoder.pos_conv_embed.conv.";
  const std::int64_t kernel = c.num_conv_pos_embeddings, d = c.hidden_size;
  weights.normal(conv + "parametrizations.weight.original1", {d, d / c.num_conv_pos_embedding_groups, kernel},
                 2.0 / std::sqrt(static_cast<double>(kernel * d)));
  const at::Tensor& v = weights.tensors.at(conv + "parametrizations.weight.original1");
  weights.tensors[conv + "parametrizations.weight.original0"] =
      v.to(at::kDouble).square().sum(at::IntArrayRef({0, 1}), /*keepdim=*/true).sqrt().to(at::kFloat);
  weights.constant(conv + "bias", d, 0.0);
}

NamedTensors make_weights(const EncoderConfig& c, std::int64_t seed) {
  RandomWeights weights(seed);
  weights.normal("masked_spec_embed", {c.hidden_size}, 1.0);
  add_stem(c, weights);
  add_positions(c, weights);
  weights.norm("encoder.layer_norm", c.hidden_size);
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("encoder.layers.{}.", i);
    for (const char* part : {"q", "k", "v", "out"}) {
      weights.linear(layer + "attention." + part + "_proj", c.hidden_size, c.hidden_size);
    }
    weights.norm(layer + "layer_norm", c.hidden_size);
    weights.norm(layer + "final_layer_norm", c.hidden_size);
    weights.linear(layer + "feed_forward.intermediate_dense", c.hidden_size, c.intermediate_size);
    weights.linear(layer + "feed_forward.output_dense", c.intermediate_size, c.hidden_size);
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

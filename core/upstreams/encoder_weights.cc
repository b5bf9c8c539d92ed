#include "core/upstreams/encoder_weights.h"

#include <fmt/format.h>

namespace strata {
namespace {

std::vector<WeightSpec> linear_weights(const std::string& name, std::int64_t in, std::int64_t out, WeightRole role) {
  return {{name + ".weight", {out, in}, role, in}, {name + ".bias", {out}, WeightRole::kBias, in}};
}

}  // namespace

void append_weights(std::vector<WeightSpec>& all, const std::string& prefix, std::vector<WeightSpec> part) {
  for (WeightSpec& spec : part) {
    if (!prefix.empty()) spec.name = prefix + "." + spec.name;
    all.push_back(std::move(spec));
  }
}

std::vector<WeightSpec> norm_weights(const std::string& name, std::int64_t width) {
  return {{name + ".weight", {width}, WeightRole::kNormWeight, 1}, {name + ".bias", {width}, WeightRole::kNormBias, 1}};
}

std::vector<WeightSpec> stem_weights(const EncoderConfig& c) {
  std::vector<WeightSpec> all;
  std::int64_t in = 1;
  for (std::size_t i = 0; i < c.conv_dim.size(); ++i) {
    const std::string layer = fmt::format("feature_extractor.conv_layers.{}.", i);
    const std::int64_t fan_in = in * c.conv_kernel[i];
    all.push_back({layer + "conv.weight", {c.conv_dim[i], in, c.conv_kernel[i]}, WeightRole::kConvolution, fan_in});
    if (c.conv_bias) all.push_back({layer + "conv.bias", {c.conv_dim[i]}, WeightRole::kBias, fan_in});
    if (i == 0 || c.layer_stem()) append_weights(all, "", norm_weights(layer + "layer_norm", c.conv_dim[i]));
    in = c.conv_dim[i];
  }
  if (c.feat_proj_layer_norm) append_weights(all, "", norm_weights("feature_projection.layer_norm", in));
  append_weights(all, "", linear_weights("feature_projection.projection", in, c.hidden_size, WeightRole::kProjection));
  return all;
}

std::vector<WeightSpec> position_weights(const EncoderConfig& c) {
  const std::int64_t d = c.hidden_size, width = d / c.num_conv_pos_embedding_groups;
  std::vector<WeightSpec> all;
  const auto add = [&](const std::string& conv, const std::string& weight, std::int64_t kernel) {
    all.push_back({conv + weight, {d, width, kernel}, WeightRole::kPosition, width * kernel});
    if (weight != "weight")
      all.push_back({conv + "parametrizations.weight.original0", {1, 1, kernel}, WeightRole::kPositionNorm, 1});
    all.push_back({conv + "bias", {d}, WeightRole::kBias, width * kernel});
  };
  if (c.conv_pos_kernel_size == 0) {
    add("pos_conv_embed.conv.", "parametrizations.weight.original1", c.num_conv_pos_embeddings);
  } else {
    for (std::int64_t i = 0; i < c.num_conv_pos_embeddings; ++i)
      add(fmt::format("pos_conv_embed.layers.{}.conv.", i), "weight", c.conv_pos_kernel_size);
  }
  return all;
}

std::vector<WeightSpec> layer_weights(const EncoderConfig& c) {
  const std::int64_t d = c.hidden_size, inner = c.intermediate_size;
  std::vector<WeightSpec> all;
  for (const char* part : {"q", "k", "v", "out"})
    append_weights(all, "attention", linear_weights(fmt::format("{}_proj", part), d, d, WeightRole::kLinear));
  append_weights(all, "", norm_weights("layer_norm", d));
  append_weights(all, "feed_forward", linear_weights("intermediate_dense", d, inner, WeightRole::kLinear));
  append_weights(all, "feed_forward", linear_weights("output_dense", inner, d, WeightRole::kLinear));
  append_weights(all, "", norm_weights("final_layer_norm", d));
  return all;
}

std::vector<WeightSpec> encoder_weights(const EncoderConfig& c) {
  std::vector<WeightSpec> all = stem_weights(c);
  append_weights(all, "encoder", position_weights(c));
  append_weights(all, "encoder", norm_weights("layer_norm", c.hidden_size));
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i)
    append_weights(all, fmt::format("encoder.layers.{}", i), layer_weights(c));
  return all;
}

}  // namespace strata

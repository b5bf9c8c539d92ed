#include "core/upstreams/conv_stem.h"

#include <ATen/ops/conv1d.h>
#include <ATen/ops/group_norm.h>

#include <algorithm>
#include <string>

namespace strata {
namespace {

constexpr double kStemEps = 1e-5;

}  // namespace

ConvStem::ConvStem(const EncoderConfig& config, const WeightReader& weights) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < config.conv_dim.size(); ++i) {
    const std::int64_t out = config.conv_dim[i];
    const WeightReader own = weights.scope("conv_layers." + std::to_string(i));
    Layer layer{
        own.take("conv.weight", {out, in, config.conv_kernel[i]}), {}, config.conv_stride[i], {}, {}, std::nullopt};
    if (config.conv_bias || own.has("conv.bias")) layer.bias = own.take("conv.bias", {out});
    if (config.layer_stem()) {
      layer.norm.emplace(out, kStemEps, own.scope("layer_norm"));
    } else if (i == 0) {
      layer.group_weight = own.take("layer_norm.weight", {out});
      layer.group_bias = own.take("layer_norm.bias", {out});
    }
    layers_.push_back(std::move(layer));
    in = out;
  }
}

at::Tensor ConvStem::operator()(const at::Tensor& wave) const {
  at::Tensor x = wave.reshape({1, 1, -1});
  for (const Layer& layer : layers_) {
    x = at::conv1d(x, layer.weight, layer.bias, layer.stride);
    if (layer.group_weight.defined()) x = at::group_norm(x, x.size(1), layer.group_weight, layer.group_bias, kStemEps);
    if (layer.norm) x = (*layer.norm)(x.transpose(1, 2)).transpose(1, 2);
    x = gelu(std::move(x));
  }
  return x.squeeze(0).t().contiguous();
}

std::int64_t stem_frames(const EncoderConfig& config, std::int64_t samples) {
  for (std::size_t i = 0; i < config.conv_kernel.size(); ++i) {
    samples = samples < config.conv_kernel[i] ? 0 : (samples - config.conv_kernel[i]) / config.conv_stride[i] + 1;
  }
  return samples;
}

std::int64_t stem_hop(const EncoderConfig& config) {
  std::int64_t hop = 1;
  for (const std::int64_t stride : config.conv_stride) hop *= stride;
  return hop;
}

std::int64_t stem_receptive_field(const EncoderConfig& config) {
  std::int64_t field = 1;
  for (std::size_t i = config.conv_kernel.size(); i-- > 0;)
    field = (field - 1) * config.conv_stride[i] + config.conv_kernel[i];
  return field;
}

}  // namespace strata

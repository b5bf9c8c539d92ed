#include "core/upstreams/mr_encoder.h"

#include <fmt/format.h>

#include <algorithm>

namespace strata {

/// A transformer encoder of its own: positions (the first only), [norm if post-LN], layers, [norm if pre-LN].
class MrEncoder::Block {
 public:
  Block(const EncoderConfig& c, std::int64_t layers, std::string tap, bool positions, const WeightReader& weights)
      : tap(std::move(tap)),
        pre_norm(c.do_stable_layer_norm),
        norm(c.hidden_size, c.layer_norm_eps, weights.scope("layer_norm")) {
    if (positions) positional.emplace(c, weights.scope("pos_conv_embed"));
    for (std::int64_t i = 0; i < layers; ++i) this->layers.emplace_back(c, weights.scope(fmt::format("layers.{}", i)));
  }

  std::string tap;
  bool pre_norm;
  std::optional<PositionalConv> positional;
  LayerNorm norm;
  std::vector<TransformerLayer> layers;
};

MrEncoder::MrEncoder(const MrConfig& config, const WeightReader& weights)
    : config_(config),
      stem_(config.encoder, weights.scope("feature_extractor")),
      projection_norm_(config.encoder.conv_dim.back(), config.encoder.layer_norm_eps,
                       weights.scope("feature_projection.layer_norm")),
      projection_(config.encoder.conv_dim.back(), config.encoder.hidden_size,
                  weights.scope("feature_projection.projection")) {
  const std::size_t changes = config.ratios.size();
  const auto block = [&](std::size_t place, const std::string& tap, const std::string& name) {
    return std::make_shared<const Block>(config.encoder, config.layers[place], tap, place == 0, weights.scope(name));
  };
  const auto adapter = [&](RateRatio ratio, const std::string& name) {
    return ConvAdapter(
        {config.encoder.hidden_size, ratio, config.adapter_kernel, config.residual_scale, config.plain_adapters},
        weights.scope(name));
  };
  for (std::size_t i = 0; i < changes; ++i) {
    encoders_.push_back(block(i, fmt::format("e{}", i), fmt::format("encoders.{}", i)));
    down_.push_back(adapter(config.ratios[i], fmt::format("downsample_modules.{}", i)));
  }
  middle_ = block(changes, "m", "middle_encoder");
  for (std::size_t i = 0; i < changes; ++i) {
    const std::size_t level = changes - 1 - i;
    up_.push_back(adapter(config.ratios[level].reversed(), fmt::format("upsample_modules.{}", level)));
    decoders_.push_back(block(changes + 1 + i, fmt::format("d{}", i), fmt::format("decoders.{}", i)));
  }
}

at::Tensor MrEncoder::run(const Block& block, at::Tensor x, TapCollector& taps) const {
  if (block.positional) x = x.add((*block.positional)(x));
  if (!block.pre_norm) x = block.norm(x);
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    taps.offer(fmt::format("{}.{}", block.tap, i), x);
    if (taps.complete()) return x;
    x = block.layers[i](x, {});
  }
  if (block.pre_norm) x = block.norm(x);
  taps.offer(block.tap + ".out", x);
  return x;
}

void MrEncoder::operator()(const at::Tensor& wave, TapCollector& taps) const {
  at::Tensor x = stem_(wave);
  taps.offer("conv", x);
  if (taps.complete()) return;
  x = projection_(projection_norm_(x));
  taps.offer("proj", x);
  std::vector<at::Tensor> skips;
  for (std::size_t i = 0; i < encoders_.size() && !taps.complete(); ++i) {
    x = run(*encoders_[i], x, taps);
    skips.push_back(x);
    if (taps.complete()) return;
    x = down_[i](x);
    taps.offer(fmt::format("down{}", i), x);
  }
  if (taps.complete()) return;
  x = x.add(run(*middle_, x, taps));
  taps.offer("m.res", x);
  for (std::size_t i = 0; i < decoders_.size() && !taps.complete(); ++i) {
    x = up_[i](x);
    taps.offer(fmt::format("up{}", i), x);
    x = run(*decoders_[i], x, taps);
    const at::Tensor& skip = skips[skips.size() - 1 - i];
    const std::int64_t frames = std::min(x.size(0), skip.size(0));
    x = x.narrow(0, 0, frames).add(skip.narrow(0, 0, frames));
    taps.offer(fmt::format("d{}.res", i), x);
  }
}

std::map<std::string, std::int64_t> MrEncoder::frames(std::int64_t samples) const {
  std::map<std::string, std::int64_t> frames;
  const auto block = [&](const Block& b, std::int64_t count) {
    for (std::size_t i = 0; i < b.layers.size(); ++i) frames[fmt::format("{}.{}", b.tap, i)] = count;
    frames[b.tap + ".out"] = count;
  };
  std::int64_t count = stem_frames(config_.encoder, samples);
  frames["conv"] = frames["proj"] = count;
  std::vector<std::int64_t> skips;
  for (std::size_t i = 0; i < encoders_.size(); ++i) {
    block(*encoders_[i], count);
    skips.push_back(count);
    count = frames[fmt::format("down{}", i)] = down_[i].frames(count);
  }
  block(*middle_, count);
  frames["m.res"] = count;
  for (std::size_t i = 0; i < decoders_.size(); ++i) {
    count = frames[fmt::format("up{}", i)] = up_[i].frames(count);
    block(*decoders_[i], count);
    count = frames[fmt::format("d{}.res", i)] = std::min(count, skips[skips.size() - 1 - i]);
  }
  return frames;
}

FeatureSpec mr_spec(const MrConfig& c, std::size_t* layer_list) {
  const std::size_t changes = c.ratios.size();
  std::vector<std::int64_t> hops = {stem_hop(c.encoder)};  // by level of rate
  for (const RateRatio& ratio : c.ratios) hops.push_back(hops.back() * ratio.r1 / ratio.r0);
  const std::int64_t width = c.encoder.hidden_size;
  FeatureSpec spec{{}, stem_receptive_field(c.encoder)};
  const auto add_block = [&](const std::string& tap, std::int64_t layers, std::int64_t hop) {
    for (std::int64_t i = 0; i < layers; ++i) spec.taps.push_back({fmt::format("{}.{}", tap, i), width, hop});
    spec.taps.push_back({tap + ".out", width, hop});
  };
  for (std::size_t i = 0; i < changes; ++i) add_block(fmt::format("e{}", i), c.layers[i], hops[i]);
  add_block("m", c.layers[changes], hops[changes]);
  for (std::size_t i = 0; i < changes; ++i)
    add_block(fmt::format("d{}", i), c.layers[changes + 1 + i], hops[changes - 1 - i]);
  *layer_list = spec.taps.size();
  spec.taps.push_back({"m.res", width, hops[changes]});
  for (std::size_t i = 0; i < changes; ++i)
    spec.taps.push_back({fmt::format("d{}.res", i), width, hops[changes - 1 - i]});
  spec.taps.push_back({"conv", c.encoder.conv_dim.back(), hops[0]});
  spec.taps.push_back({"proj", width, hops[0]});
  for (std::size_t i = 0; i < changes; ++i) {
    spec.taps.push_back({fmt::format("down{}", i), width, hops[i + 1]});
    spec.taps.push_back({fmt::format("up{}", i), width, hops[changes - 1 - i]});
  }
  return spec;
}

}  // namespace strata

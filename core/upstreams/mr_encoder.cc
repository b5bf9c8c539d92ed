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

at::Tensor MrEncoder::run(const Block& block, at::Tensor x, TapCollector& taps, const Dropout& dropout) const {
  if (block.positional) x = x.add((*block.positional)(x));
  if (!block.pre_norm) x = block.norm(x);
  if (dropout) x = dropout(x);
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    taps.offer(fmt::format("{}.{}", block.tap, i), x);
    if (taps.complete()) return x;
    x = block.layers[i](x, {}, dropout);
  }
  if (block.pre_norm) x = block.norm(x);
  taps.offer(block.tap + ".out", x);
  return x;
}

at::Tensor MrEncoder::project(const at::Tensor& frames) const {
  return projection_(projection_norm_(frames)).to(frames.scalar_type());
}

void MrEncoder::operator()(const at::Tensor& frames, TapCollector& taps) const {
  const at::Tensor x = project(frames);
  taps.offer("proj", x);
  if (!taps.complete()) encode(x, taps);
}

void MrEncoder::encode(const at::Tensor& projected, TapCollector& taps, const Dropout& dropout) const {
  at::Tensor x = projected;
  std::vector<at::Tensor> skips;
  for (std::size_t i = 0; i < encoders_.size() && !taps.complete(); ++i) {
    x = run(*encoders_[i], x, taps, dropout);
    skips.push_back(x);
    if (taps.complete()) return;
    x = down_[i](x).to(x.scalar_type());
    taps.offer(fmt::format("down{}", i), x);
  }
  if (taps.complete()) return;
  x = x.add(run(*middle_, x, taps, dropout));
  taps.offer("m.res", x);
  for (std::size_t i = 0; i < decoders_.size() && !taps.complete(); ++i) {
    x = up_[i](x).to(x.scalar_type());
    taps.offer(fmt::format("up{}", i), x);
    x = run(*decoders_[i], x, taps, dropout);
    const at::Tensor& skip = skips[skips.size() - 1 - i];
    const std::int64_t frames = std::min(x.size(0), skip.size(0));
    x = x.narrow(0, 0, frames).add(skip.narrow(0, 0, frames));
    taps.offer(fmt::format("d{}.res", i), x);
  }
}

std::vector<std::int64_t> MrEncoder::frames(std::int64_t samples) const {
  std::vector<std::int64_t> blocks = {stem_frames(config_.encoder, samples)}, sums;
  for (const ConvAdapter& down : down_) blocks.push_back(down.frames(blocks.back()));
  std::int64_t count = blocks.back();
  for (std::size_t i = 0; i < up_.size(); ++i) {
    blocks.push_back(up_[i].frames(count));
    count = std::min(blocks.back(), blocks[up_.size() - 1 - i]);
    sums.push_back(count);
  }
  blocks.insert(blocks.end(), sums.begin(), sums.end());
  return blocks;
}

MrTaps mr_taps(const MrConfig& c) {
  const std::size_t changes = c.ratios.size(), middle = changes;
  std::vector<std::int64_t> hops = {stem_hop(c.encoder)};  // by stage
  for (const RateRatio& ratio : c.ratios) hops.push_back(hops.back() * ratio.r1 / ratio.r0);
  for (int twice = 0; twice < 2; ++twice) {
    for (std::size_t i = 0; i < changes; ++i) hops.push_back(hops[changes - 1 - i]);
  }
  MrTaps taps;
  taps.spec.receptive_field_samples = stem_receptive_field(c.encoder);
  const auto add = [&](const std::string& name, std::size_t stage, std::int64_t width) {
    taps.spec.taps.push_back({name, width, hops[stage]});
    taps.stages.push_back(stage);
  };
  const std::int64_t width = c.encoder.hidden_size;
  for (std::size_t stage = 0; stage < c.layers.size(); ++stage) {
    const std::string block = stage < middle    ? fmt::format("e{}", stage)
                              : stage == middle ? "m"
                                                : fmt::format("d{}", stage - middle - 1);
    for (std::int64_t i = 0; i < c.layers[stage]; ++i) add(fmt::format("{}.{}", block, i), stage, width);
    add(block + ".out", stage, width);
  }
  taps.layer_list = taps.stages.size();
  add("m.res", middle, width);
  for (std::size_t i = 0; i < changes; ++i) add(fmt::format("d{}.res", i), c.layers.size() + i, width);
  add("conv", 0, c.encoder.conv_dim.back());
  add("proj", 0, width);
  for (std::size_t i = 0; i < changes; ++i) {
    add(fmt::format("down{}", i), i + 1, width);
    add(fmt::format("up{}", i), middle + 1 + i, width);
  }
  return taps;
}

}  // namespace strata

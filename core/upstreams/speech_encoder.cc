#include "core/upstreams/speech_encoder.h"

#include <fmt/format.h>

namespace strata {

SpeechEncoder::SpeechEncoder(const EncoderConfig& c, const WeightReader& weights)
    : pre_norm_(c.do_stable_layer_norm),
      stem_(c, weights.scope("feature_extractor")),
      projection_(c.conv_dim.back(), c.hidden_size, weights.scope("feature_projection.projection")),
      positional_(c, weights.scope("encoder.pos_conv_embed")),
      norm_(c.hidden_size, c.layer_norm_eps, weights.scope("encoder.layer_norm")) {
  if (c.feat_proj_layer_norm) {
    projection_norm_.emplace(c.conv_dim.back(), c.layer_norm_eps, weights.scope("feature_projection.layer_norm"));
  }
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    layers_.emplace_back(c, weights.scope(fmt::format("encoder.layers.{}", i)));
  }
  if (c.num_buckets > 0) {
    relative_positions_.emplace(c, weights.scope("encoder.layers.0.attention.rel_attn_embed"));
  }
}

void SpeechEncoder::operator()(const at::Tensor& frames, TapCollector& taps) const {
  const at::Tensor x = project(frames);
  taps.offer("proj", x);
  if (!taps.complete()) encode(x, taps);
}

at::Tensor SpeechEncoder::project(const at::Tensor& frames) const {
  return projection_(projection_norm_ ? (*projection_norm_)(frames) : frames);
}

void SpeechEncoder::encode(const at::Tensor& projected, TapCollector& taps, const Dropout& dropout) const {
  const at::Tensor pos = positional_(projected);
  taps.offer("pos", pos);
  at::Tensor x = projected.add(pos);
  if (!pre_norm_) x = norm_(x);
  taps.offer("h0", x);
  if (dropout) x = dropout(x);
  const at::Tensor positions =
      relative_positions_ && !taps.complete() ? (*relative_positions_)(x.size(0)) : at::Tensor();
  for (std::size_t i = 1; i <= layers_.size() && !taps.complete(); ++i) {
    const std::string feed_forward = fmt::format("ffn{}", i);
    at::Tensor inner;
    x = layers_[i - 1](x, positions, dropout, taps.wants(feed_forward) ? &inner : nullptr);
    if (inner.defined()) taps.offer(feed_forward, inner);
    if (i == layers_.size() && pre_norm_) {
      taps.offer(fmt::format("h{}_raw", i), x);
      x = norm_(x);
    }
    taps.offer(fmt::format("h{}", i), x);
  }
}

FeatureSpec encoder_spec(const EncoderConfig& c) {
  const std::int64_t hop = stem_hop(c);
  FeatureSpec spec{{}, stem_receptive_field(c)};
  for (std::int64_t i = 0; i <= c.num_hidden_layers; ++i)
    spec.taps.push_back({fmt::format("h{}", i), c.hidden_size, hop});
  if (c.do_stable_layer_norm) spec.taps.push_back({fmt::format("h{}_raw", c.num_hidden_layers), c.hidden_size, hop});
  spec.taps.push_back({"conv", c.conv_dim.back(), hop});
  for (const char* name : {"proj", "pos"}) spec.taps.push_back({name, c.hidden_size, hop});
  return spec;
}

}  // namespace strata

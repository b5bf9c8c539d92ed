#include "core/upstreams/transformer_encoder.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

namespace strata {

TransformerEncoder::TransformerEncoder(const EncoderConfig& c, const WeightReader& weights)
    : pre_norm_(c.do_stable_layer_norm),
      positional_(c, weights.scope("pos_conv_embed")),
      norm_(c.hidden_size, c.layer_norm_eps, weights.scope("layer_norm")) {
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i)
    layers_.emplace_back(c, weights.scope(fmt::format("layers.{}", i)));
  if (c.num_buckets > 0) relative_positions_.emplace(c, weights.scope("layers.0.attention.rel_attn_embed"));
}

void TransformerEncoder::operator()(const at::Tensor& projected, TapCollector& taps, const Dropout& dropout) const {
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

}  // namespace strata

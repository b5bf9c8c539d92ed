#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/upstreams/encoder_config.h"
#include "core/upstreams/modules.h"

namespace strata {

/// WavLM's bias of attention by distance (arXiv:2110.13900), P[h, i, j] = embedding[bucket(j - i), h]; made once and
/// used by every layer behind its own gate. It depends on the distance only, so P is kept as a line over all distances.
class RelativePositions {
 public:
  /// Takes `weight` [num_buckets, heads].
  RelativePositions(const EncoderConfig& config, const WeightReader& weights);

  /// [heads, 2 T - 1]; P[h, i, j] is at T - 1 - i + j.
  at::Tensor operator()(std::int64_t frames) const;

 private:
  at::Tensor embedding_;
  std::int64_t buckets_, max_distance_;
};

/// The bucket of a distance key - query: exact below a quarter of the buckets, then logarithmic up to `max_distance`;
/// keys after the query take the upper half.
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance);

/// One transformer layer on [T, D], every frame attending to every frame. post-LN: x = LN1(x + attention(x)),
/// x = LN2(x + W2 gelu(W1 x)). pre-LN (`do_stable_layer_norm`): x + attention(LN1(x)), then x + W2 gelu(W1 LN2(x)).
class TransformerLayer {
 public:
  /// Takes `attention.{q,k,v,out}_proj`, `layer_norm` (LN1), `final_layer_norm` (LN2), `feed_forward.*`; with buckets
  /// also the gate `attention.gru_rel_pos_{const,linear}`.
  TransformerLayer(const EncoderConfig& config, const WeightReader& weights);

  ///   x          [T, D]
  ///   positions  of RelativePositions where the config has buckets, otherwise undefined
  ///   dropout    where it is given, on the outputs of both parts before their residual
  ///   inner      where it is given, receives W2 gelu(W1 ..), before that dropout
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& positions, const Dropout& dropout = {},
                        at::Tensor* inner = nullptr) const;

 private:
  /// W2 gelu(W1 x).
  at::Tensor feed_forward(const at::Tensor& x) const;
  /// The same, dropped out, after `inner` has seen it.
  at::Tensor feed_forward(const at::Tensor& x, const Dropout& dropout, at::Tensor* inner) const;
  at::Tensor attend(const at::Tensor& x, const at::Tensor& positions) const;
  /// y [T, D], a part of a wider tensor perhaps -> [1, heads, T, D / heads].
  at::Tensor by_head(const at::Tensor& y) const;
  /// The three of them. Cut as one, so that their gradients are put together as one.
  std::vector<at::Tensor> queries_keys_values(const at::Tensor& x) const;
  at::Tensor gate(const at::Tensor& x) const;
  at::Tensor attend_gated(const at::Tensor& x, const at::Tensor& positions) const;

  std::int64_t width_, heads_;
  bool pre_norm_;
  Linear query_key_value_, out_;
  LayerNorm attention_norm_, final_norm_;
  Linear inner_, outer_;
  std::optional<Linear> gate_;  // D / heads -> 8
  at::Tensor gate_const_;       // [1, heads, 1, 1]
};

}  // namespace strata

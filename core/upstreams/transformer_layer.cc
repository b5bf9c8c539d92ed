#include "core/upstreams/transformer_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace strata {
namespace {

constexpr std::int64_t kQueryBlock = 256;
constexpr std::int64_t kFeedForwardFrames = 192;  // of a block: 2.4 MB of float32 in a base model

}  // namespace

std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t max_distance) {
  const std::int64_t half = buckets / 2, exact = half / 2, size = std::abs(distance);
  std::int64_t bucket = size;
  if (size >= exact) {
    const double position =
        std::log(static_cast<double>(size) / exact) / std::log(static_cast<double>(max_distance) / exact);
    bucket = std::min(half - 1, exact + static_cast<std::int64_t>(position * (half - exact)));
  }
  return bucket + (distance > 0 ? half : 0);
}

RelativePositions::RelativePositions(const EncoderConfig& config, const WeightReader& weights)
    : embedding_(weights.take("weight", {config.num_buckets, config.num_attention_heads})),
      buckets_(config.num_buckets),
      max_distance_(config.max_bucket_distance) {}

at::Tensor RelativePositions::operator()(std::int64_t frames) const {
  at::Tensor bucket = at::empty({2 * frames - 1}, at::kLong);
  for (std::int64_t i = 0; i < 2 * frames - 1; ++i) {
    bucket.mutable_data_ptr<std::int64_t>()[i] = relative_bucket(i - (frames - 1), buckets_, max_distance_);
  }
  return embedding_.index_select(0, bucket.to(embedding_.device())).t().contiguous();
}

TransformerLayer::TransformerLayer(const EncoderConfig& c, const WeightReader& weights)
    : width_(c.hidden_size),
      heads_(c.num_attention_heads),
      pre_norm_(c.do_stable_layer_norm),
      query_key_value_(
          c.hidden_size, c.hidden_size,
          {weights.scope("attention.q_proj"), weights.scope("attention.k_proj"), weights.scope("attention.v_proj")}),
      out_(c.hidden_size, c.hidden_size, weights.scope("attention.out_proj")),
      attention_norm_(c.hidden_size, c.layer_norm_eps, weights.scope("layer_norm")),
      final_norm_(c.hidden_size, c.layer_norm_eps, weights.scope("final_layer_norm")),
      inner_(c.hidden_size, c.intermediate_size, weights.scope("feed_forward.intermediate_dense")),
      outer_(c.intermediate_size, c.hidden_size, weights.scope("feed_forward.output_dense")) {
  if (c.num_buckets == 0) return;
  gate_.emplace(c.hidden_size / heads_, 8, weights.scope("attention.gru_rel_pos_linear"));
  gate_const_ = weights.take("attention.gru_rel_pos_const", {1, heads_, 1, 1});
}

at::Tensor TransformerLayer::operator()(const at::Tensor& x, const at::Tensor& positions, const Dropout& dropout,
                                        at::Tensor* inner) const {
  const auto attended = [&](const at::Tensor& input) {
    at::Tensor y = attend(input, positions);
    return dropout ? dropout(y) : y;
  };
  if (pre_norm_) {
    const at::Tensor h = add_to(x, attended(attention_norm_(x)));
    return add_to(h, feed_forward(final_norm_(h), dropout, inner));
  }
  const at::Tensor h = attention_norm_(add_to(x, attended(x)));
  return final_norm_(add_to(h, feed_forward(h, dropout, inner)));
}

at::Tensor TransformerLayer::feed_forward(const at::Tensor& x, const Dropout& dropout, at::Tensor* inner) const {
  at::Tensor y = feed_forward(x);
  if (inner) *inner = c10::GradMode::is_enabled() ? y : y.clone();  // which is otherwise written over
  return dropout ? dropout(y) : y;
}

// In blocks of equal size, so that the widest tensor of a layer stays in the cache.
at::Tensor TransformerLayer::feed_forward(const at::Tensor& x) const {
  if (c10::GradMode::is_enabled() || !x.is_cpu()) return outer_(gelu(inner_(x)));
  const at::Tensor out = at::empty_like(x);
  const std::int64_t frames = x.size(0), blocks = (frames + kFeedForwardFrames - 1) / kFeedForwardFrames;
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t first = b * frames / blocks, count = (b + 1) * frames / blocks - first;
    outer_.write(out.narrow(0, first, count), gelu(inner_(x.narrow(0, first, count))));
  }
  return out;
}

at::Tensor TransformerLayer::by_head(const at::Tensor& y) const {
  return y.view({1, y.size(0), heads_, width_ / heads_}).transpose(1, 2);
}

std::vector<at::Tensor> TransformerLayer::queries_keys_values(const at::Tensor& x) const {
  std::vector<at::Tensor> parts = query_key_value_(x).chunk(3, 1);
  for (at::Tensor& part : parts) part = by_head(part);
  return parts;
}

at::Tensor TransformerLayer::attend(const at::Tensor& x, const at::Tensor& positions) const {
  if (gate_) return out_(attend_gated(x, positions).transpose(1, 2).reshape(x.sizes()));
  const std::vector<at::Tensor> qkv = queries_keys_values(x);
  const at::Tensor y = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  return out_(y.transpose(1, 2).reshape(x.sizes()));
}

// The bias of a block of queries after the other, so that it is never there for all pairs of frames. Queries are taken
// from the last to the first, for then the windows of the line that are their rows of P lie in the order of memory.
at::Tensor TransformerLayer::attend_gated(const at::Tensor& x, const at::Tensor& positions) const {
  const std::int64_t frames = x.size(0);
  const std::vector<at::Tensor> qkv = queries_keys_values(x);
  const at::Tensor q = qkv[0].flip(2), k = qkv[1], v = qkv[2], g = gate(x).flip(2);
  std::vector<at::Tensor> blocks;
  for (std::int64_t first = 0; first < frames; first += kQueryBlock) {
    const std::int64_t count = std::min(kQueryBlock, frames - first);
    const at::Tensor rows = positions.narrow(1, first, count + frames - 1).unfold(1, frames, 1);  // [heads, count, T]
    const at::Tensor bias = g.narrow(2, first, count) * rows.unsqueeze(0);
    blocks.push_back(at::scaled_dot_product_attention(q.narrow(2, first, count), k, v, bias));
  }
  return at::cat(blocks, 2).flip(2);
}

// [1, heads, T, 1]: a (b const - 1) + 2 per head and query, with z = G u + c of the head's part u of the attention's
// input, a = sigmoid(z0 + .. + z3), b = sigmoid(z4 + .. + z7).
at::Tensor TransformerLayer::gate(const at::Tensor& x) const {
  const at::Tensor ab = (*gate_)(by_head(x)).view({1, heads_, x.size(0), 2, 4}).sum(-1).sigmoid();
  const at::Tensor a = ab.narrow(-1, 0, 1), b = ab.narrow(-1, 1, 1);
  return a * (b * gate_const_ - 1.0) + 2.0;
}

}  // namespace strata

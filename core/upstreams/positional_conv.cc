#include "core/upstreams/positional_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/layer_norm.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "core/upstreams/modules.h"

namespace strata {
namespace {

constexpr double kNormEps = 1e-5;  // of batch norm and of data2vec's layer norms, whatever layer_norm_eps says
constexpr std::int64_t kFramesAtOnce = 2;

at::Tensor take_weight(const WeightReader& conv, const std::vector<std::int64_t>& shape) {
  const std::string g = "parametrizations.weight.original0", v = "parametrizations.weight.original1";
  if (conv.has("weight") && !conv.has(g)) return conv.take("weight", shape);
  return fold_weight_norm(conv.take(g, {1, 1, shape[2]}), conv.take(v, shape));
}

}  // namespace

at::Tensor fold_weight_norm(const at::Tensor& g, const at::Tensor& v) {
  const at::Tensor exact = v.to(at::kDouble);
  const at::Tensor norm = exact.square().sum(at::IntArrayRef({0, 1}), /*keepdim=*/true).sqrt();
  return (exact * (g.to(at::kDouble) / norm)).to(v.scalar_type());
}

PositionalConv::PositionalConv(const EncoderConfig& config, const WeightReader& weights)
    : groups_(config.num_conv_pos_embedding_groups) {
  const std::int64_t d = config.hidden_size;
  if (config.conv_pos_kernel_size > 0) {
    for (std::int64_t i = 0; i < config.num_conv_pos_embeddings; ++i) {
      const WeightReader conv = weights.scope("layers." + std::to_string(i)).scope("conv");
      const at::Tensor weight = conv.take("weight", {d, d / groups_, config.conv_pos_kernel_size});
      add_block(weight, conv.take("bias", {d}), true);
    }
    return;
  }
  const std::vector<std::int64_t> shape = {d, d / groups_, config.num_conv_pos_embeddings};
  const WeightReader conv = weights.scope("conv");
  if (config.conv_pos_batch_norm) {
    const WeightReader norm = weights.scope("batch_norm");
    bn_weight_ = norm.take("weight", {d});
    bn_bias_ = norm.take("bias", {d});
    bn_mean_ = norm.take("running_mean", {d});
    bn_var_ = norm.take("running_var", {d});
  }
  const at::Tensor weight = config.conv_pos_batch_norm ? conv.take("weight", shape) : take_weight(conv, shape);
  add_block(weight, conv.take("bias", {d}), false);
}

void PositionalConv::add_block(const at::Tensor& weight, const at::Tensor& bias, bool norm) {
  Block block{weight, bias, norm, {}, {}};
  if (weight.is_cpu()) {
    if (c10::GradMode::is_enabled()) {
      block.trainable.emplace(weight, groups_, weight.size(2) / 2);
    } else {
      block.frozen.emplace(weight, groups_, kFramesAtOnce);
    }
  }
  blocks_.push_back(std::move(block));
}

at::Tensor PositionalConv::convolve(const Block& block, const at::Tensor& x) const {
  const std::int64_t before = block.weight.size(2) / 2;
  if (block.frozen) return block.frozen->convolve(x, before).add_(block.bias);
  if (block.trainable) return (*block.trainable)(x).add(block.bias);
  const at::Tensor y = at::conv1d(x.t().unsqueeze(0), block.weight, block.bias, 1, before, 1, groups_);
  return y.narrow(2, 0, x.size(0)).squeeze(0).t();
}

at::Tensor PositionalConv::operator()(const at::Tensor& x) const {
  at::Tensor y = x;
  if (bn_weight_.defined()) {
    y = at::batch_norm(y, bn_weight_, bn_bias_, bn_mean_, bn_var_, /*training=*/false, 0.0, kNormEps,
                       /*cudnn_enabled=*/false);
  }
  for (const Block& block : blocks_) {
    y = convolve(block, y);
    if (block.norm) y = at::layer_norm(y, {x.size(1)}, {}, {}, kNormEps);
    y = gelu(std::move(y));
  }
  return y.contiguous();
}

}  // namespace strata

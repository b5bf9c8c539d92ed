#include "core/upstreams/positional_conv.h"

#include <ATen/ATen.h>

#include "core/upstreams/modules.h"

namespace strata {
namespace {

constexpr double kNormEps = 1e-5;  // of batch norm and of data2vec's layer norms, whatever layer_norm_eps says

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
      blocks_.push_back(
          {conv.take("weight", {d, d / groups_, config.conv_pos_kernel_size}), conv.take("bias", {d}), true});
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
  blocks_.push_back({config.conv_pos_batch_norm ? conv.take("weight", shape) : take_weight(conv, shape),
                     conv.take("bias", {d}), false});
}

at::Tensor PositionalConv::operator()(const at::Tensor& x) const {
  const std::int64_t frames = x.size(0), width = x.size(1);
  at::Tensor y = x.t().unsqueeze(0);  // [1, D, T]
  if (bn_weight_.defined()) {
    y = at::batch_norm(y, bn_weight_, bn_bias_, bn_mean_, bn_var_, /*training=*/false, 0.0, kNormEps,
                       /*cudnn_enabled=*/false);
  }
  for (const Block& block : blocks_) {
    y = at::conv1d(y, block.weight, block.bias, 1, block.weight.size(2) / 2, 1, groups_).narrow(2, 0, frames);
    if (block.norm) y = at::layer_norm(y.transpose(1, 2), {width}, {}, {}, kNormEps).transpose(1, 2);
    y = gelu(std::move(y));
  }
  return y.squeeze(0).t().contiguous();
}

}  // namespace strata

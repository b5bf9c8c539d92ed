#include "core/upstreams/positional_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "core/upstreams/modules.h"

namespace strata {
namespace {

constexpr double kNormEps = 1e-5;          // of batch norm and of data2vec's layer norms, whatever layer_norm_eps says
constexpr std::int64_t kBlockPairs = 256;  // of frames: what they see takes 6 MB in a base model

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
  blocks_.push_back({weight, bias, norm, c10::GradMode::is_enabled() || !weight.is_cpu() ? at::Tensor() : pairs_of(weight)});
}

at::Tensor PositionalConv::pairs_of(const at::Tensor& weight) const {
  const std::int64_t kernel = weight.size(2), width = weight.size(1);
  const at::Tensor taps = weight.view({groups_, width, width, kernel}).permute({0, 3, 2, 1});  // [groups, K, in, out]
  const at::Tensor pairs = at::zeros({groups_, kernel + 1, width, 2, width}, weight.options());
  for (const std::int64_t frame : {0, 1}) pairs.narrow(1, frame, kernel).select(3, frame).copy_(taps);
  return pairs.view({groups_, (kernel + 1) * width, 2 * width});
}

at::Tensor PositionalConv::convolve(const Block& block, const at::Tensor& x) const {
  if (!c10::GradMode::is_enabled() && block.pairs.defined()) return convolve_by_products(block, x);
  const std::int64_t padding = block.weight.size(2) / 2;
  const at::Tensor y = at::conv1d(x.t().unsqueeze(0), block.weight, block.bias, 1, padding, 1, groups_);
  return y.narrow(2, 0, x.size(0)).squeeze(0).t();
}

at::Tensor PositionalConv::convolve_by_products(const Block& block, const at::Tensor& x) const {
  const std::int64_t frames = x.size(0), width = x.size(1) / groups_, kernel = block.weight.size(2);
  const std::int64_t pairs = (frames + 1) / 2, before = kernel / 2, rows = 2 * pairs + kernel - 1;
  const at::Tensor padded = at::constant_pad_nd(x, {0, 0, before, rows - before - frames});
  const at::Tensor grouped = padded.view({rows, groups_, width}).transpose(0, 1).contiguous();  // [groups, rows, width]
  const at::Tensor out = at::empty({pairs, 2, groups_, width}, x.options());
  for (std::int64_t first = 0; first < pairs; first += kBlockPairs) {
    const std::int64_t count = std::min(kBlockPairs, pairs - first);
    for (std::int64_t g = 0; g < groups_; ++g) {
      // Row m is what frames 2 m and 2 m + 1 see: the K + 1 rows from 2 m on, which lie behind each other.
      const at::Tensor seen = grouped[g]
                                  .narrow(0, 2 * first, 2 * count + kernel - 1)
                                  .as_strided({count, (kernel + 1) * width}, {2 * width, 1})
                                  .contiguous();
      out.narrow(0, first, count).select(2, g).copy_(seen.mm(block.pairs[g]).view({count, 2, width}));
    }
  }
  return out.view({2 * pairs, x.size(1)}).narrow(0, 0, frames).add_(block.bias);
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

#include "core/upstreams/modules.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>

namespace strata {

Linear::Linear(std::int64_t in, std::int64_t out, const std::vector<WeightReader>& parts) {
  std::vector<at::Tensor> weights, biases;
  for (const WeightReader& part : parts) {
    weights.push_back(part.take("weight", {out, in}));
    biases.push_back(part.take("bias", {out}));
  }
  weight_ = parts.size() == 1 ? weights.front() : at::cat(weights);
  bias_ = parts.size() == 1 ? biases.front() : at::cat(biases);
  if (c10::GradMode::is_enabled()) {
    // Gradients arrive in the weights' own type, sums in it are left to the optimizer.
    if (weight_.scalar_type() != at::kFloat || parts.front().arithmetic() == at::kFloat) return;
    rounded_ = parts.front().arithmetic();
    weight_ = weight_.to(*rounded_);
    bias_ = bias_.to(*rounded_);
    return;
  }
  if (!weight_.is_cpu()) return;
  packed_ = PackedProduct::pack(weight_, parts.front().arithmetic());
  if (packed_) weight_.reset();
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (rounded_) return at::linear(x.to(*rounded_), weight_, bias_).to(x.scalar_type());
  if (!packed_) return at::linear(x, weight_, bias_);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = bias_.size(0);
  const at::Tensor y = at::empty(shape, x.options());
  write(y.view({-1, shape.back()}), x.reshape({-1, x.size(-1)}));
  return y;
}

void Linear::write(const at::Tensor& y, const at::Tensor& x) const {
  y.copy_(bias_.expand_as(y));
  if (packed_) {
    packed_->add_to(y, x);
  } else {
    y.addmm_(x, weight_.t());
  }
}

LayerNorm::LayerNorm(std::int64_t width, double eps, const WeightReader& weights)
    : weight_(weights.take("weight", {width})), bias_(weights.take("bias", {width})), eps_(eps) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, eps_);
}

// LibTorch leaves a contiguous tensor to oneDNN, which makes a kernel anew for each length of utterance; a transposed
// one it computes itself.
at::Tensor gelu(at::Tensor&& x) {
  return c10::GradMode::is_enabled() ? at::gelu(x.transpose(-1, -2)).transpose(-1, -2) : at::gelu_(x);
}

// Under autocast y is in 16 bits, to which the sum must not be rounded.
at::Tensor add_to(const at::Tensor& x, at::Tensor&& y) {
  return c10::GradMode::is_enabled() || x.scalar_type() != y.scalar_type() ? x.add(y) : y.add_(x);
}

}  // namespace strata

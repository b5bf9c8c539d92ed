#include "core/upstreams/modules.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>

namespace strata {

Linear::Linear(std::int64_t in, std::int64_t out, const WeightReader& weights)
    : weight_(weights.take("weight", {out, in})), bias_(weights.take("bias", {out})) {
  if (!c10::GradMode::is_enabled()) packed_ = PackedProduct::pack(weight_, bias_);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const bool packed = packed_ && !c10::GradMode::is_enabled() && x.dim() == 2 && x.is_contiguous();
  return packed ? (*packed_)(x) : at::linear(x, weight_, bias_);
}

LayerNorm::LayerNorm(std::int64_t width, double eps, const WeightReader& weights)
    : weight_(weights.take("weight", {width})), bias_(weights.take("bias", {width})), eps_(eps) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight_.sizes(), weight_, bias_, eps_);
}

at::Tensor gelu(at::Tensor&& x) { return c10::GradMode::is_enabled() ? at::gelu(x) : at::gelu_(x); }

at::Tensor add_to(const at::Tensor& x, at::Tensor&& y) { return c10::GradMode::is_enabled() ? x.add(y) : y.add_(x); }

}  // namespace strata

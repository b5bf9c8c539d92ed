#include "core/upstreams/conv_adapter.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/conv_transpose1d.h>
#include <ATen/ops/group_norm.h>

#include <algorithm>
#include <cmath>

#include "core/upstreams/modules.h"

namespace strata {
namespace {

constexpr double kNormEps = 1e-5;

at::Tensor norm_gelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return gelu(at::group_norm(x, 1, weight, bias, kNormEps));
}

// Sum of [1, C, *] cut to the shorter.
at::Tensor cut_sum(const at::Tensor& a, const at::Tensor& b) {
  const std::int64_t frames = std::min(a.size(2), b.size(2));
  return a.narrow(2, 0, frames) + b.narrow(2, 0, frames);
}

}  // namespace

ConvAdapter::ConvAdapter(const Shape& shape, const WeightReader& weights)
    : ratio_(shape.ratio), scale_(std::sqrt(shape.residual_scale)) {
  const bool downsamples = !shape.plain || shape.ratio.r0 == 1;
  if (!shape.plain || !downsamples) up_ = take(weights.scope("upsample_conv"), shape.channels, shape.kernel);
  if (downsamples) down_ = take(weights.scope("downsample_conv"), shape.channels, shape.kernel);
}

ConvAdapter::Branch ConvAdapter::take(const WeightReader& weights, std::int64_t channels, std::int64_t kernel) {
  if (kernel == 0) {
    const std::vector<std::int64_t> shape = weights.shape_of("0.weight");
    kernel = shape.empty() ? 1 : shape.back();
  }
  return {weights.take("0.weight", {channels, channels, kernel}), weights.take("2.weight", {channels}),
          weights.take("2.bias", {channels})};
}

at::Tensor ConvAdapter::up(const at::Tensor& x, const at::Tensor& repeated) const {
  const at::Tensor u = at::conv_transpose1d(x, up_.weight, {}, ratio_.r0, 0, ratio_.r0 - 1);
  return scale_ * cut_sum(norm_gelu(u, up_.norm_weight, up_.norm_bias), repeated);
}

at::Tensor ConvAdapter::down(const at::Tensor& x) const {
  const at::Tensor v = at::conv1d(x, down_.weight, {}, ratio_.r1, (down_.weight.size(2) - 1) / 2);
  return scale_ * cut_sum(norm_gelu(v, down_.norm_weight, down_.norm_bias), x.slice(2, 0, std::nullopt, ratio_.r1));
}

at::Tensor ConvAdapter::operator()(const at::Tensor& x) const {
  const at::Tensor input = x.t().unsqueeze(0);  // [1, C, T]
  at::Tensor out;
  if (!up_.weight.defined()) {
    out = down(input);
  } else {
    const at::Tensor repeated = input.repeat_interleave(ratio_.r0, 2);
    out = up(input, repeated);
    if (down_.weight.defined()) out = scale_ * cut_sum(down(out), repeated.slice(2, 0, std::nullopt, ratio_.r1));
  }
  return out.squeeze(0).t().contiguous();
}

std::int64_t ConvAdapter::frames(std::int64_t frames) const {
  const std::int64_t repeated = up_.weight.defined() ? frames * ratio_.r0 : frames;
  if (!down_.weight.defined()) return repeated;
  const std::int64_t kernel = down_.weight.size(2);
  const std::int64_t convolved = (repeated + 2 * ((kernel - 1) / 2) - kernel) / ratio_.r1 + 1;
  return std::min(convolved, (repeated + ratio_.r1 - 1) / ratio_.r1);
}

}  // namespace strata

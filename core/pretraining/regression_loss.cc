#include "core/pretraining/regression_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace strata {
namespace {

constexpr double kInstanceEps = 1e-5, kSpreadEps = 1e-6;

}  // namespace

at::Tensor average_targets(const std::vector<at::Tensor>& layers) {
  at::Tensor sum = at::zeros_like(layers.front());
  for (const at::Tensor& layer : layers) {
    const at::Tensor centred = layer - layer.mean(0, /*keepdim=*/true);
    sum += centred / (centred.square().mean(0, /*keepdim=*/true) + kInstanceEps).sqrt();
  }
  return sum / static_cast<double>(layers.size());
}

at::Tensor regression_loss(const at::Tensor& predicted, const at::Tensor& targets, double beta) {
  const at::Tensor sum = beta == 0 ? at::mse_loss(predicted, targets, at::Reduction::Sum)
                                   : at::smooth_l1_loss(predicted, targets, at::Reduction::Sum, beta);
  return sum / std::sqrt(static_cast<double>(targets.size(1)));
}

double column_spread(const at::Tensor& rows) {
  return (rows.var(0, /*unbiased=*/false) + kSpreadEps).sqrt().mean().item<double>();
}

}  // namespace strata

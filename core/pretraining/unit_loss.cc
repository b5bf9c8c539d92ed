#include "core/pretraining/unit_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {
namespace {

constexpr double kCosineEps = 1e-8;  // of torch's cosine_similarity

at::Tensor unit_length(const at::Tensor& rows) {
  return rows / at::linalg_vector_norm(rows, 2, {1}, /*keepdim=*/true).clamp_min(kCosineEps);
}

}  // namespace

UnitLoss unit_loss(const at::Tensor& projected, const at::Tensor& embeddings, const at::Tensor& units,
                   double temperature) {
  const std::int64_t classes = embeddings.size(0);
  if (units.numel() == 0) return {projected.sum() * 0.0, 0.0, 0.0};
  const auto lowest = units.min().item<std::int64_t>(), highest = units.max().item<std::int64_t>();
  if (lowest < 0 || highest >= classes) {
    throw DataError(
        fmt::format("unit {} is not one of the {} classes of the objective", lowest < 0 ? lowest : highest, classes));
  }
  const at::Tensor logits = unit_length(projected).mm(unit_length(embeddings).t()) / temperature;
  UnitLoss loss;
  const at::Tensor wanted = units.to(logits.device());
  loss.sum = at::cross_entropy_loss(logits, wanted, {}, at::Reduction::Sum);
  loss.frames = static_cast<double>(units.size(0));
  const c10::NoGradGuard counting;
  loss.correct = logits.argmax(1).eq(wanted).sum().item<double>();
  return loss;
}

}  // namespace strata

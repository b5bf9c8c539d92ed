#include "core/losses/cross_entropy.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "core/base/error.h"

namespace strata {

LossSum cross_entropy(const at::Tensor& logits, const at::Tensor& labels) {
  if (logits.dim() != 2 || labels.dim() != 1 || labels.size(0) != logits.size(0)) {
    throw ShapeError(fmt::format("cross entropy: expected logits [B, C] and labels [B], found {} and {}",
                                 logits.sizes().vec(), labels.sizes().vec()));
  }
  const std::int64_t lowest = labels.min().item<std::int64_t>(), highest = labels.max().item<std::int64_t>();
  if (lowest < 0 || highest >= logits.size(1)) {
    throw DataError(fmt::format("cross entropy: label {} is not one of the {} classes", lowest < 0 ? lowest : highest,
                                logits.size(1)));
  }
  const at::Tensor sum = at::cross_entropy_loss(logits, labels.to(logits.device()), {}, at::Reduction::Sum);
  return {sum, static_cast<double>(logits.size(0))};
}

LossSum slot_cross_entropy(const at::Tensor& logits, const at::Tensor& labels, const std::vector<std::int64_t>& slots) {
  const std::int64_t classes = std::accumulate(slots.begin(), slots.end(), std::int64_t{0});
  if (logits.dim() != 2 || logits.size(1) != classes || labels.dim() != 2 || labels.size(1) != slots.size()) {
    throw ShapeError(
        fmt::format("cross entropy of slots {}: expected logits [B, {}] and labels [B, {}], found {} and {}", slots,
                    classes, slots.size(), logits.sizes().vec(), labels.sizes().vec()));
  }
  LossSum loss;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const LossSum slot = cross_entropy(logits.narrow(1, first, slots[i]), labels.select(1, i));
    loss.sum = i == 0 ? slot.sum : loss.sum + slot.sum;
    loss.count = slot.count;
    first += slots[i];
  }
  return loss;
}

}  // namespace strata

#include "core/metrics/accuracy.h"

#include <ATen/ops/eq.h>
#include <ATen/ops/max.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

at::Tensor predicted_classes(const at::Tensor& scores) { return std::get<1>(at::max(scores, -1)); }

at::Tensor predicted_slots(const at::Tensor& scores, const std::vector<std::int64_t>& slots) {
  std::vector<at::Tensor> predicted;
  std::int64_t first = 0;
  for (const std::int64_t classes : slots) {
    predicted.push_back(predicted_classes(scores.narrow(-1, first, classes)));
    first += classes;
  }
  return at::stack(predicted, -1);
}

at::Tensor correct(const at::Tensor& predicted, const at::Tensor& labels) {
  if (predicted.sizes() != labels.sizes()) {
    throw ShapeError(fmt::format("accuracy: predictions have the shape {}, labels {}", predicted.sizes().vec(),
                                 labels.sizes().vec()));
  }
  const at::Tensor equal = predicted.eq(labels.to(predicted.device()));
  return (equal.dim() == 2 ? equal.all(1) : equal).to(at::kLong);
}

SumCount accuracy(const at::Tensor& predicted, const at::Tensor& labels) {
  return {correct(predicted, labels).sum().item<double>(), static_cast<double>(labels.size(0))};
}

}  // namespace strata

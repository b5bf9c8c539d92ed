#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/metrics/metric.h"

namespace strata {

/// The class with the largest score: the first of equal ones; NaN is larger than every number.
///   scores   [.., C]
///   returns  [..] int64
at::Tensor predicted_classes(const at::Tensor& scores);

/// The same within each slot's own range of the scores.
///   scores   [B, sum of slots]
///   returns  [B, number of slots]
at::Tensor predicted_slots(const at::Tensor& scores, const std::vector<std::int64_t>& slots);

/// 1 where the prediction is right; with several slots where all of them are.
///   predicted, labels  [B] or [B, number of slots] int64
///   returns            [B] int64
/// Throws ShapeError if the shapes differ.
at::Tensor correct(const at::Tensor& predicted, const at::Tensor& labels);

/// Utterances that are right, and utterances.
SumCount accuracy(const at::Tensor& predicted, const at::Tensor& labels);

}  // namespace strata

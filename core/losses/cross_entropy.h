#pragma once

#include <cstdint>
#include <vector>

#include "core/losses/loss.h"

namespace strata {

/// -log softmax(logits)[label], summed over the batch.
///   logits  [B, C] floating point, or log-probabilities
///   labels  [B] int64
/// Throws ShapeError if the shapes do not fit, DataError if a label is not in 0 .. C - 1.
LossSum cross_entropy(const at::Tensor& logits, const at::Tensor& labels);

/// The sum of one cross entropy per slot, each over its own range of the logits (IC: action 6, object 14, location 4).
///   logits  [B, sum of slots]
///   labels  [B, number of slots] int64, each within its slot
///   slots   classes of each slot
LossSum slot_cross_entropy(const at::Tensor& logits, const at::Tensor& labels, const std::vector<std::int64_t>& slots);

}  // namespace strata

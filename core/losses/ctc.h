#pragma once

#include <cstdint>

#include "core/losses/loss.h"

namespace strata {

/// What CTC aligns.
struct CtcTargets {
  at::Tensor symbols;  // [B, U] int64, padded with any symbol
  at::Tensor lengths;  // [B] int64, 0 .. U
  std::int64_t blank = 0;
};

/// Negative log-likelihood of each utterance's targets (Graves et al. 2006); infinite where the frames are too few.
///   logits   [B, T, C] floating point, or log-probabilities; frames past lengths[b] may hold any finite value
///   lengths  [B] int64, valid frames
///   returns  [B]; no gradient is meant to be taken through an infinite one
/// Throws ShapeError if the shapes do not fit, DataError if a symbol is not in 0 .. C - 1.
at::Tensor ctc_nll(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets);

/// SUPERB's loss: each utterance's negative log-likelihood over max(1, its target length), infinite ones as 0 without
/// gradient; summed over the batch, in which the infinite ones count.
LossSum ctc_loss(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets);

}  // namespace strata

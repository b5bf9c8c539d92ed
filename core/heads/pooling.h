#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// Mean over each utterance's valid frames.
///   x        [B, T, H] floating point; frames past lengths[b] may hold any finite value
///   lengths  [B] int64, 1 <= lengths[b] <= T
///   returns  [B, H]
at::Tensor mean_of_valid_frames(const at::Tensor& x, const at::Tensor& lengths);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// What is said of some frames' units.
struct UnitLoss {
  at::Tensor sum;        // scalar, with its graph
  double frames = 0.0;   // terms of it
  double correct = 0.0;  // frames whose own unit scores highest
};

/// HuBERT's cross entropy (arXiv:2106.07447, equations 2 and 3), summed over N frames: with p_n the projected frame and
/// e_c the embedding of unit c,
///     logit_nc = cos(p_n, e_c) / temperature,    loss = sum_n -log softmax(logit_n)[unit_n]
///   projected   [N, F]
///   embeddings  [C, F]
///   units       [N] int64 in 0 .. C - 1; may be on the CPU where the others are not, and is best there
/// Throws DataError if a unit is no class. N = 0 gives 0.
UnitLoss unit_loss(const at::Tensor& projected, const at::Tensor& embeddings, const at::Tensor& units,
                   double temperature);

}  // namespace strata

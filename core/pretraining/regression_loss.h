#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace strata {

/// data2vec's targets (arXiv:2202.03555, section 3.3; fairseq's base_librispeech.yaml): each layer's output normalised
/// over the utterance's frames, per column and without affine (`instance_norm_target_layer`, eps 1e-5), then the mean
/// over the layers; nothing after it.
///   layers   [T, D] each
///   returns  [T, D]
at::Tensor average_targets(const std::vector<at::Tensor>& layers);

/// sum over frames and columns of (p - y)^2 / sqrt(D), or, for beta > 0, of the smooth L1 of them in its place:
/// (p - y)^2 / (2 beta) where |p - y| < beta, else |p - y| - beta / 2. (For beta 0 that is fairseq's rule, not the
/// limit.)
///   predicted, targets  [N, D]
at::Tensor regression_loss(const at::Tensor& predicted, const at::Tensor& targets, double beta);

/// The mean over the columns of sqrt(variance over the rows + 1e-6), biased variance (fairseq's `target_var` and
/// `pred_var`).
double column_spread(const at::Tensor& rows);

}  // namespace strata

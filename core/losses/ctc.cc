#include "core/losses/ctc.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/ctc_loss.h>
#include <ATen/ops/log_softmax.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {
namespace {

void check(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets) {
  const bool fits = logits.dim() == 3 && targets.symbols.dim() == 2 && lengths.dim() == 1 &&
                    targets.lengths.dim() == 1 && logits.size(0) == lengths.size(0) &&
                    logits.size(0) == targets.symbols.size(0) && logits.size(0) == targets.lengths.size(0);
  if (!fits) {
    throw ShapeError(fmt::format(
        "CTC: expected logits [B, T, C], lengths [B], targets [B, U] and their lengths [B], found {}, {}, {} and {}",
        logits.sizes().vec(), lengths.sizes().vec(), targets.symbols.sizes().vec(), targets.lengths.sizes().vec()));
  }
  if (lengths.min().item<std::int64_t>() < 1 || lengths.max().item<std::int64_t>() > logits.size(1)) {
    throw ShapeError(fmt::format("CTC: lengths must be in 1 .. {}", logits.size(1)));
  }
  if (targets.lengths.min().item<std::int64_t>() < 0 ||
      targets.lengths.max().item<std::int64_t>() > targets.symbols.size(1)) {
    throw ShapeError(fmt::format("CTC: target lengths must be in 0 .. {}", targets.symbols.size(1)));
  }
  // LibTorch reads past its buffers for such symbols.
  if (targets.symbols.numel() == 0) return;
  const std::int64_t lowest = targets.symbols.min().item<std::int64_t>(),
                     highest = targets.symbols.max().item<std::int64_t>();
  if (lowest < 0 || highest >= logits.size(2)) {
    throw DataError(
        fmt::format("CTC: symbol {} is not one of the {} symbols", lowest < 0 ? lowest : highest, logits.size(2)));
  }
}

at::Tensor nll(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets, bool zero_infinity) {
  check(logits, lengths, targets);
  // In float64: sums over alignments in float32 lose gradients up to 1e-5 of their largest entry. On the CPU wherever the
  // logits are: LibTorch's backward pass on GPUs does not repeat its results.
  const at::Tensor log_probabilities = at::log_softmax(logits, 2, at::kDouble).cpu();
  return at::ctc_loss(log_probabilities.transpose(0, 1), targets.symbols, lengths, targets.lengths, targets.blank,
                      at::Reduction::None, zero_infinity)
      .to(logits.scalar_type());
}

}  // namespace

at::Tensor ctc_nll(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets) {
  return nll(logits, lengths, targets, false);
}

LossSum ctc_loss(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets) {
  const at::Tensor each = nll(logits, lengths, targets, true);
  const at::Tensor symbols = targets.lengths.clamp_min(1).to(each.scalar_type());
  return {(each / symbols).sum(), static_cast<double>(logits.size(0))};
}

}  // namespace strata

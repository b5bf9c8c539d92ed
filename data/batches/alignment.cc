#include "data/batches/alignment.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"

namespace strata {
namespace {

at::Tensor computable(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

at::Tensor interpolated(const at::Tensor& x, std::int64_t ratio) {
  const std::int64_t last = x.size(0) - 1;
  const at::Tensor place = ((at::arange(x.size(0) * ratio, x.options().dtype(at::kDouble).requires_grad(false)) + 0.5) /
                                static_cast<double>(ratio) -
                            0.5)
                               .clamp(0.0, static_cast<double>(last));
  const at::Tensor before = place.floor().to(at::kLong), after = (before + 1).clamp_max(last);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = -1;
  const at::Tensor share = (place - before).to(x.scalar_type()).view(shape);
  return x.index_select(0, before) * (1 - share) + x.index_select(0, after) * share;
}

at::Tensor averaged(const at::Tensor& x, std::int64_t ratio) {
  const std::int64_t whole = x.size(0) / ratio, left = x.size(0) % ratio;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[0] = ratio;
  shape.insert(shape.begin(), whole);
  const at::Tensor groups = x.narrow(0, 0, whole * ratio).view(shape).mean({1});
  if (left == 0) return groups;
  return at::cat({groups, x.narrow(0, whole * ratio, left).mean({0}, /*keepdim=*/true)});
}

}  // namespace

Alignment::Alignment(const AlignmentRule& rule, const std::vector<Tap>& taps) : interpolate_(rule.interpolate) {
  std::int64_t finest = std::numeric_limits<std::int64_t>::max();
  for (const Tap& tap : taps) finest = std::min(finest, tap.hop_samples);
  hop_samples_ = rule.hop_samples == 0 ? finest : rule.hop_samples;
  finest_ = hop_samples_ == finest;
  for (const Tap& tap : taps) {
    slower_ = slower_ || tap.hop_samples > hop_samples_;
    if (std::max(tap.hop_samples, hop_samples_) % std::min(tap.hop_samples, hop_samples_) == 0) continue;
    throw ConfigError(fmt::format(
        "tap {} has a frame every {} samples, all are to have one every {}: the ratio must be a whole number", tap.name,
        tap.hop_samples, hop_samples_));
  }
}

std::int64_t Alignment::frames(std::int64_t stored, const Tap& tap) const {
  if (tap.hop_samples >= hop_samples_) return stored * (tap.hop_samples / hop_samples_);
  const std::int64_t ratio = hop_samples_ / tap.hop_samples;
  return (stored + ratio - 1) / ratio;
}

bool Alignment::copies(const Tap& tap) const {
  return tap.hop_samples == hop_samples_ || (tap.hop_samples > hop_samples_ && !interpolate_);
}

at::Tensor Alignment::apply(const at::Tensor& x, const Tap& tap) const {
  if (tap.hop_samples == hop_samples_ || x.size(0) == 0) return x;
  if (tap.hop_samples < hop_samples_) return averaged(computable(x), hop_samples_ / tap.hop_samples);
  const std::int64_t ratio = tap.hop_samples / hop_samples_;
  return interpolate_ ? interpolated(computable(x), ratio) : x.repeat_interleave(ratio, 0);
}

AlignmentRule Alignment::rule() const { return {finest_ ? 0 : hop_samples_, interpolate_ && slower_}; }

std::string Alignment::text() const {
  std::string text = fmt::format("a frame every {} samples", hop_samples_);
  if (slower_) text += interpolate_ ? ", slower taps interpolated" : ", slower taps repeated";
  if (!finest_) text += ", faster taps averaged";
  return text + ", cut to the shortest";
}

}  // namespace strata

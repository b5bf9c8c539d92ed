#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/feature_spec.h"

namespace strata {

/// How taps of unequal frame rates are brought to one.
struct AlignmentRule {
  std::int64_t hop_samples = 0;  // of the rate that all come to; 0: the finest among the taps
  bool interpolate = false;      // slower taps: linear between their frames; else every frame is repeated

  bool operator==(const AlignmentRule&) const = default;
};

/// Brings the taps of a trial, of one or several upstreams, to one frame rate. With r the ratio of the rates:
///   slower, repeated      y[k] = x[floor(k / r)], r T frames
///   slower, interpolated  y[k] = x at (k + 0.5) / r - 0.5, linear, the end frames held: r T frames, centred as the
///                         repeated ones are
///   faster, averaged      y[j] = mean of x[r j .. r j + r - 1], the last group may be short: ceil(T / r) frames
/// Then all taps of an utterance are cut to the shortest. Immutable and thread-safe.
class Alignment {
 public:
  ///   taps  all that are read, of all upstreams
  /// Throws ConfigError naming the tap if a ratio is not a whole number.
  Alignment(const AlignmentRule& rule, const std::vector<Tap>& taps);

  /// Distance of frames after alignment.
  std::int64_t hop_samples() const { return hop_samples_; }

  /// Frames of a tap after alignment, if it has `stored` of its own.
  std::int64_t frames(std::int64_t stored, const Tap& tap) const;

  /// True if `apply` copies the frames of a tap as they are; where it computes, 16-bit types come back as float32.
  bool copies(const Tap& tap) const;

  ///   x        [T, ..] floating point, frames of `tap`
  ///   returns  [frames(T, tap), ..]; differentiable
  at::Tensor apply(const at::Tensor& x, const Tap& tap) const;

  /// The rule without what has no effect on these taps, so that equal results have equal rules.
  AlignmentRule rule() const;

  /// "a frame every 320 samples, slower taps repeated, cut to the shortest": for records.
  std::string text() const;

 private:
  std::int64_t hop_samples_ = 0;
  bool interpolate_;
  bool finest_ = true, slower_ = false;  // what is so among the taps
};

}  // namespace strata

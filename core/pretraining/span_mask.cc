#include "core/pretraining/span_mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace strata {

std::vector<std::int64_t> SpanMask::draw(std::int64_t frames, RandomStream& random) const {
  if (frames <= 0) return {};
  const double share = probability * static_cast<double>(frames) / static_cast<double>(length);
  std::int64_t spans = std::max(fewest, static_cast<std::int64_t>(std::floor(share + random.uniform())));
  // As published: starts 0 .. T - length - 1, or, where that leaves no choice, one more than there are spans.
  const std::int64_t places = std::min(frames, std::max(frames - length, spans + 1));
  spans = std::min(spans, places);
  std::vector<std::int64_t> starts(places);
  std::iota(starts.begin(), starts.end(), std::int64_t{0});
  std::vector<bool> masked(frames, false);
  for (std::int64_t i = 0; i < spans; ++i) {
    std::swap(starts[i], starts[i + random.below(places - i)]);
    const std::int64_t last = std::min(frames, starts[i] + length);
    std::fill(masked.begin() + starts[i], masked.begin() + last, true);
  }
  std::vector<std::int64_t> indices;
  for (std::int64_t t = 0; t < frames; ++t) {
    if (masked[t]) indices.push_back(t);
  }
  return indices;
}

}  // namespace strata

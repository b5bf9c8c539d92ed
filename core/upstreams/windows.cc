#include "core/upstreams/windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace strata {
namespace {

constexpr double kLongestSeconds = 1e6;  // more would not fit the numbers of frames

std::int64_t frames_in(double seconds, std::int64_t hop) {
  return std::llround(std::min(seconds, kLongestSeconds) * kSampleRateHz / static_cast<double>(hop));
}

}  // namespace

std::vector<Window> cut_windows(std::int64_t frames, const Windows& windows, std::int64_t multiple) {
  const auto up = [&](std::int64_t n) { return (n + multiple - 1) / multiple * multiple; };
  const std::int64_t context = up(windows.context);
  const std::int64_t kept = std::max(multiple, (windows.length - 2 * context) / multiple * multiple);
  std::vector<Window> all;
  for (std::int64_t first = 0; first < frames; first += kept) {
    const std::int64_t last = std::min(frames, first + kept);
    all.push_back({std::max<std::int64_t>(0, first - context), std::min(frames, last + context), first, last});
  }
  return all;
}

Windows make_windows(double window_seconds, double context_seconds, std::int64_t hop, const std::string& place) {
  if (window_seconds == 0) return {};
  const Windows windows{frames_in(window_seconds, hop), frames_in(context_seconds, hop)};
  if (windows.length <= 2 * windows.context) {
    throw ConfigError(fmt::format("{}: window_seconds {} is no longer than twice context_seconds {}", place,
                                  window_seconds, context_seconds));
  }
  return windows;
}

}  // namespace strata

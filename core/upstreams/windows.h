#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/feature_spec.h"

namespace strata {

/// How the layers are computed over an utterance that is too long for attention over all of it. Numbers of frames of
/// the stem.
struct Windows {
  std::int64_t length = 0;   // longer utterances are cut; 0: none is
  std::int64_t context = 0;  // at either end of a window, computed but not kept

  bool cut(std::int64_t frames) const { return length > 0 && frames > length; }
};

/// One window: what is computed, and what of it is kept.
struct Window {
  std::int64_t first, last;            // frames first .. last - 1
  std::int64_t keep_first, keep_last;  // likewise

  bool operator==(const Window&) const = default;
};

/// The windows of an utterance of `frames`. All of them together keep every frame once; they begin and keep at
/// multiples of `multiple` frames, so that models with slower stages see the same pairs of frames as in the whole.
std::vector<Window> cut_windows(std::int64_t frames, const Windows& windows, std::int64_t multiple);

/// Seconds as frames `hop` samples apart. Throws ConfigError, starting with `place`, if nothing of a window would be
/// kept.
Windows make_windows(double window_seconds, double context_seconds, std::int64_t hop, const std::string& place);

}  // namespace strata

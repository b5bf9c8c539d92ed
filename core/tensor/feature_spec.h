#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

inline constexpr int kSampleRateHz = 16000;

/// One stored hidden state of an upstream.
struct Tap {
  std::string name;              // "h0" .. "hL", "conv", "proj", "hL_raw", "fbank", ..
  std::int64_t width = 0;        // D
  std::int64_t hop_samples = 0;  // distance of frames at 16 kHz: 320 for 50 frames a second
  bool listed = true;            // belongs to the layer list that an interface sees when it names no taps

  bool operator==(const Tap&) const = default;
};

/// What an upstream gives: its taps in order. An interface sees those that belong to its layer list, L of them.
struct FeatureSpec {
  std::vector<Tap> taps;
  std::int64_t receptive_field_samples = 0;  // of the convolutional stem (or the analysis window)

  bool operator==(const FeatureSpec&) const = default;
};

}  // namespace strata

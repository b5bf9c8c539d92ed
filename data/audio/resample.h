#pragma once

#include <cstdint>
#include <vector>

namespace strata {

/// Band-limited resampling of one channel, soxr "high quality" (20 bit, linear phase): round(n * to_hz / from_hz)
/// samples, aligned so that time 0 stays time 0. Returns the input where the rates are equal. Throws InternalError if
/// soxr fails.
std::vector<float> resample(std::vector<float> samples, std::int64_t from_hz, std::int64_t to_hz);

}  // namespace strata

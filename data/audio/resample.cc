#include "data/audio/resample.h"

#include <fmt/format.h>
#include <soxr.h>

#include <cmath>

#include "core/base/error.h"

namespace strata {

std::vector<float> resample(std::vector<float> samples, std::int64_t from_hz, std::int64_t to_hz) {
  if (from_hz == to_hz || samples.empty()) return samples;
  const double ratio = static_cast<double>(to_hz) / static_cast<double>(from_hz);
  const auto expected = static_cast<std::size_t>(std::llround(static_cast<double>(samples.size()) * ratio));
  std::vector<float> output(expected);
  if (output.empty()) return output;  // soxr does not take an empty output
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);  // threads: callers run many files side by side
  std::size_t done = 0;
  const soxr_error_t error =
      soxr_oneshot(static_cast<double>(from_hz), static_cast<double>(to_hz), 1, samples.data(), samples.size(), nullptr,
                   output.data(), output.size(), &done, nullptr, &quality, &runtime);
  if (error != nullptr) throw InternalError(fmt::format("soxr from {} to {} Hz: {}", from_hz, to_hz, error));
  // soxr may stop a sample short of the rounded length; what it did not write is zero.
  return output;
}

}  // namespace strata

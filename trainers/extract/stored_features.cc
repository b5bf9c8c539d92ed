#include "trainers/extract/stored_features.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/aminmax.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace strata {
namespace {

std::int64_t frames_to_store(const Upstream& upstream, std::size_t tap, std::int64_t frames, std::int64_t samples) {
  const std::vector<Tap>& all = upstream.spec().taps;
  for (std::size_t first = 0; first < tap; ++first) {
    if (all[first].hop_samples == all[tap].hop_samples) return std::min(frames, upstream.frames(first, samples));
  }
  return frames;
}

/// The least value that is infinity when it is rounded to this type.
double first_not_held(hdf5::StoredType type) {
  switch (type) {
    case hdf5::StoredType::kFloat16:
      return 65520;
    case hdf5::StoredType::kBFloat16:
      return std::ldexp(2 - std::ldexp(1, -8), 127);
    default:
      return std::numeric_limits<double>::infinity();
  }
}

// One pass over the values, which takes less time than rounding them; NaN is neither below nor above anything.
void check_values(const at::Tensor& frames, const Tap& tap, hdf5::StoredType type) {
  if (frames.numel() == 0) return;
  const auto [least, greatest] = at::aminmax(frames);
  const double low = least.item<double>(), high = greatest.item<double>(), limit = first_not_held(type);
  if (low > -limit && high < limit) return;
  const double peak = std::max(-low, high);
  if (!std::isfinite(low) || !std::isfinite(high))
    throw DataError(fmt::format("tap {} (stored as {}): it has values that are not finite", tap.name, name_of(type)));
  throw DataError(
      fmt::format("tap {}: its largest value, {:.6g}, is beyond the range of {}; store this upstream in "
                  "bfloat16 or float32",
                  tap.name, peak, name_of(type)));
}

}  // namespace

std::vector<at::Tensor> features_to_store(const Upstream& upstream, const at::Tensor& wave,
                                          const std::vector<std::size_t>& taps, hdf5::StoredType type) {
  std::vector<at::Tensor> features = upstream.forward(wave, taps);
  for (std::size_t i = 0; i < taps.size(); ++i) {
    features[i] = features[i].narrow(0, 0, frames_to_store(upstream, taps[i], features[i].size(0), wave.size(0)));
    check_values(features[i], upstream.spec().taps[taps[i]], type);
  }
  return features;
}

}  // namespace strata

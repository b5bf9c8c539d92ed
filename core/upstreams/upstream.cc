#include "core/upstreams/upstream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

const NamedTensors& Upstream::weights() const {
  static const NamedTensors none;
  return none;
}

std::vector<at::Tensor> Upstream::forward_with(const NamedTensors&, const at::Tensor& wave,
                                               const std::vector<std::size_t>& taps) const {
  return forward(wave, taps);
}

void Upstream::check_wave(const at::Tensor& wave) const {
  if (wave.dim() != 1 || (wave.scalar_type() != at::kFloat && wave.scalar_type() != at::kDouble)) {
    throw ShapeError(fmt::format("upstream: expected a wave [samples] float32 or float64, found {} {}",
                                 wave.sizes().vec(), c10::toString(wave.scalar_type())));
  }
  if (wave.size(0) < minimum_samples()) {
    throw DataError(fmt::format("the audio has {} samples at 16 kHz; this upstream needs at least {} for one frame",
                                wave.size(0), minimum_samples()));
  }
}

}  // namespace strata

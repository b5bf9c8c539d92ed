#include "core/upstreams/spectral.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <numbers>

#include "core/base/hash.h"

namespace strata {
namespace {

constexpr std::int64_t kFftPoints = 512;  // the next power of two above the window
constexpr double kLowHz = 20.0;
constexpr double kPreEmphasis = 0.97;
constexpr double kLogFloor = 0x1p-23;  // the rounding unit of float32, in every dtype
constexpr double kLifter = 22.0;
constexpr int kFeaturesVersion = 1;

double to_mel(double hz) { return 1127.0 * std::log(1.0 + hz / 700.0); }

at::Tensor povey_window() {
  at::Tensor window = at::empty({LogMel::kWindow}, at::kDouble);
  for (std::int64_t i = 0; i < LogMel::kWindow; ++i) {
    const double hann = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * i / (LogMel::kWindow - 1));
    window.mutable_data_ptr<double>()[i] = std::pow(hann, 0.85);
  }
  return window;
}

// [257, bins]; the last row, at 8 kHz, stays zero: Kaldi leaves that bin out.
at::Tensor mel_triangles(std::int64_t bins) {
  const double bin_hz = static_cast<double>(kSampleRateHz) / kFftPoints;
  const double low = to_mel(kLowHz), step = (to_mel(kSampleRateHz / 2.0) - low) / (bins + 1);
  at::Tensor triangles = at::zeros({kFftPoints / 2 + 1, bins}, at::kDouble);
  auto out = triangles.accessor<double, 2>();
  for (std::int64_t f = 0; f < kFftPoints / 2; ++f) {
    const double mel = to_mel(bin_hz * f);
    for (std::int64_t b = 0; b < bins; ++b) {
      const double left = low + b * step, centre = left + step, right = centre + step;
      out[f][b] = std::max(0.0, std::min((mel - left) / (centre - left), (right - mel) / (right - centre)));
    }
  }
  return triangles;
}

// sum_{k=1,2} k (x[t+k] - x[t-k]) / 10 with the first and the last row repeated.
at::Tensor deltas(const at::Tensor& x) {
  const std::int64_t frames = x.size(0);
  const at::Tensor first = x.narrow(0, 0, 1), last = x.narrow(0, frames - 1, 1);
  const at::Tensor padded = at::cat({first, first, x, last, last});
  const auto at_shift = [&](std::int64_t shift) { return padded.narrow(0, 2 + shift, frames); };
  return (at_shift(1) - at_shift(-1) + 2 * (at_shift(2) - at_shift(-2))) / 10;
}

}  // namespace

LogMel::LogMel(std::int64_t num_mel_bins) : window_(povey_window()), mel_(mel_triangles(num_mel_bins)) {}

at::Tensor LogMel::operator()(const at::Tensor& wave) const {
  at::Tensor x = wave.unfold(0, kWindow, kHop);
  x = x - x.mean(1, true);
  const at::Tensor previous = at::cat({x.narrow(1, 0, 1), x.narrow(1, 0, kWindow - 1)}, 1);
  x = (x - kPreEmphasis * previous) * window_.to(wave.scalar_type());
  const at::Tensor power = at::fft_rfft(x, kFftPoints).abs().square();
  return at::matmul(power, mel_.to(wave.scalar_type())).clamp_min(kLogFloor).log();
}

at::Tensor cepstral_transform(std::int64_t num_mel_bins, std::int64_t num_ceps) {
  at::Tensor transform = at::empty({num_mel_bins, num_ceps}, at::kDouble);
  auto out = transform.accessor<double, 2>();
  for (std::int64_t c = 0; c < num_ceps; ++c) {
    const double norm = std::sqrt((c == 0 ? 1.0 : 2.0) / num_mel_bins);
    const double lifter = 1.0 + 0.5 * kLifter * std::sin(std::numbers::pi * c / kLifter);
    for (std::int64_t m = 0; m < num_mel_bins; ++m) {
      out[m][c] = lifter * norm * std::cos(std::numbers::pi / num_mel_bins * (m + 0.5) * c);
    }
  }
  return transform;
}

at::Tensor with_deltas(const at::Tensor& x) {
  const at::Tensor first = deltas(x);
  return at::cat({x, first, deltas(first)}, 1);
}

at::Tensor normalize_over_time(const at::Tensor& x) {
  const at::Tensor exact = x.to(at::kDouble);
  return ((exact - exact.mean(0)) / (1e-10 + exact.std(0, /*unbiased=*/true))).to(x.scalar_type());
}

SpectralUpstream::SpectralUpstream(const std::string& name, std::int64_t width, bool deltas, bool cmvn,
                                   const Json& options)
    : deltas_(deltas),
      cmvn_(cmvn),
      spec_{{Tap{name, width * (deltas ? 3 : 1), LogMel::kHop}}, LogMel::kWindow},
      fingerprint_(
          sha256(Json{{"family", name}, {"features_version", kFeaturesVersion}, {"options", options}}.dump())) {}

std::int64_t SpectralUpstream::frames(std::size_t, std::int64_t samples) const {
  return samples < minimum_samples() ? 0 : 1 + (samples - LogMel::kWindow) / LogMel::kHop;
}

std::vector<at::Tensor> SpectralUpstream::forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  const c10::NoGradGuard frozen;
  at::Tensor features = analyse(wave);
  if (deltas_) features = with_deltas(features);
  if (cmvn_) features = normalize_over_time(features);
  return std::vector<at::Tensor>(taps.size(), features.contiguous());
}

}  // namespace strata

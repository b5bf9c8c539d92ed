#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/upstreams/upstream.h"

namespace strata {

/// Kaldi's log mel filter bank (`compute-fbank-feats`, as torchaudio.compliance.kaldi states it): windows of 25 ms
/// every 10 ms, only whole ones (snip_edges); per window: minus its mean, pre-emphasis 0.97, Povey window hann^0.85,
/// power spectrum of 512 points, triangles evenly spaced in mel = 1127 ln(1 + f / 700) from 20 Hz to 8 kHz, ln(max(.,
/// 2^-23)). No dither. The tables are made in float64.
class LogMel {
 public:
  static constexpr std::int64_t kWindow = 400;
  static constexpr std::int64_t kHop = 160;

  explicit LogMel(std::int64_t num_mel_bins);

  ///   wave     [samples >= 400] float32 or float64, 16 kHz
  ///   returns  [1 + (samples - 400) / 160, num_mel_bins] in the wave's dtype
  at::Tensor operator()(const at::Tensor& wave) const;

 private:
  at::Tensor window_;  // [400] float64
  at::Tensor mel_;     // [257, num_mel_bins] float64
};

/// Rows to cepstra: an orthonormal DCT-II of M log energies, its first C values, times the lifter
/// 1 + 11 sin(pi c / 22) (Kaldi: cepstral_lifter 22).
///   returns  [M, C] float64, to be multiplied from the right
at::Tensor cepstral_transform(std::int64_t num_mel_bins, std::int64_t num_ceps);

/// x [T, D] -> [T, 3 D]: x, its deltas and theirs. delta[t] = sum_{k=1,2} k (x[t+k] - x[t-k]) / 10, the edges repeated.
at::Tensor with_deltas(const at::Tensor& x);

/// Per column: minus the mean over time, over (1e-10 + std), unbiased std. x [T >= 2, D]. The statistics are taken in
/// float64: a constant column gives 0 in every dtype, where rounding over 1e-10 would give anything.
at::Tensor normalize_over_time(const at::Tensor& x);

/// What fbank and mfcc share as upstreams: one tap named after the analysis, deltas and CMVN on request.
class SpectralUpstream : public Upstream {
 public:
  const FeatureSpec& spec() const override { return spec_; }
  std::vector<std::string> default_taps() const override { return {spec_.taps[0].name}; }
  /// Two frames where they are normalised over time.
  std::int64_t minimum_samples() const override { return LogMel::kWindow + (cmvn_ ? LogMel::kHop : 0); }
  std::int64_t frames(std::size_t tap, std::int64_t samples) const override;
  std::vector<at::Tensor> forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const override;
  std::string fingerprint() const override { return fingerprint_; }

 protected:
  /// `width` of the static features; `options` go into the fingerprint.
  SpectralUpstream(const std::string& name, std::int64_t width, bool deltas, bool cmvn, const Json& options);

  /// The static features of a checked wave, [T, width].
  virtual at::Tensor analyse(const at::Tensor& wave) const = 0;

 private:
  bool deltas_, cmvn_;
  FeatureSpec spec_;
  std::string fingerprint_;
};

}  // namespace strata

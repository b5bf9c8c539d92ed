#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/upstreams/preprocessing.h"
#include "core/upstreams/tap_collector.h"
#include "core/upstreams/upstream.h"
#include "core/upstreams/weight_reader.h"
#include "core/upstreams/windows.h"

namespace strata {

/// What all upstreams from a model folder share: weights in two precisions, normalisation, fingerprint. A family gives
/// it what is its own when it is constructed.
class FolderUpstream : public Upstream {
 public:
  /// A model with its weights bound.
  struct Encoder {
    /// The convolutions' frames, [T, C], of a normalised wave [n].
    std::function<at::Tensor(const at::Tensor& wave)> stem;
    /// The states after them that `taps` wants.
    std::function<void(const at::Tensor& frames, TapCollector& taps)> layers;
  };

  /// What the family read from its folder.
  struct Model {
    std::string family;
    int features_version = 1;  // raised only when the numbers of the family change
    std::string place;         // named in errors
    Json config;               // the keys that the numbers depend on, with their values
    WaveNorm wave_norm;
    Windows windows;
    at::ScalarType arithmetic = at::kFloat;  // of large products; on a GPU, of all that PyTorch's autocast lowers
    c10::Device device = c10::kCPU;
    std::int64_t hop = 320;  // of the stem
    FeatureSpec spec;
    std::size_t layer_list = 0;  // the first so many taps are what an interface sees
    NamedTensors checkpoint;     // of the bare model
    WeightReader::Spelling spelling;
    /// Binds the weights in the reader's dtype, taking each.
    std::function<Encoder(const WeightReader&)> bind;
    /// As Upstream::frames, for `samples` of at least the receptive field.
    std::function<std::int64_t(std::size_t tap, std::int64_t samples)> frames;
  };

  /// Binds the weights in float32. Throws ConfigError if they do not fit the config.
  explicit FolderUpstream(Model model);

  const FeatureSpec& spec() const override { return model_.spec; }
  std::vector<std::string> default_taps() const override;
  std::int64_t minimum_samples() const override { return model_.spec.receptive_field_samples; }
  std::int64_t frames(std::size_t tap, std::int64_t samples) const override;
  std::vector<at::Tensor> forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const override;
  bool in_windows(std::int64_t samples) const override { return model_.windows.cut(stem_frames(samples)); }
  std::vector<at::Tensor> forward_whole(const at::Tensor& wave, const std::vector<std::size_t>& taps) const override;
  std::vector<at::Tensor> forward_exact(const at::Tensor& wave, const std::vector<std::size_t>& taps) const override;
  std::string compute() const override;
  c10::Device device() const override { return model_.device; }
  const NamedTensors& weights() const override { return weights_; }
  std::vector<at::Tensor> forward_with(const NamedTensors& weights, const at::Tensor& wave,
                                       const std::vector<std::size_t>& taps) const override;
  std::string fingerprint() const override;

 private:
  std::int64_t stem_frames(std::int64_t samples) const;
  std::vector<at::Tensor> run(const Encoder& encoder, const Windows& windows, const at::Tensor& wave,
                              const std::vector<std::size_t>& taps) const;
  /// The states of `taps` after the stem, put together from windows.
  void run_windows(const Encoder& encoder, const Windows& windows, const at::Tensor& frames, std::int64_t samples,
                   const std::vector<std::size_t>& taps, TapCollector& collector) const;
  const Encoder& encoder(at::ScalarType dtype) const;
  Encoder bind(const NamedTensors& weights, at::ScalarType dtype) const;

  Model model_;
  NamedTensors weights_;
  Encoder encoder_float32_;
  mutable std::once_flag once_float64_, once_fingerprint_;
  mutable Encoder encoder_float64_;  // made when the first float64 wave comes: only comparisons use it
  mutable std::string fingerprint_;
};

}  // namespace strata

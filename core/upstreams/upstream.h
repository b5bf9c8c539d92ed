#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/feature_spec.h"

namespace strata {

/// A frozen speech model (or a fixed analysis): one utterance in, its taps out. Immutable after construction;
/// `forward` is thread-safe and computes with the calling thread's number of intra-op threads.
class Upstream {
 public:
  static constexpr const char* kKind = "upstream";
  virtual ~Upstream() = default;

  /// All taps it can give, in order: the layer list that an interface sees first, then those on request.
  virtual const FeatureSpec& spec() const = 0;

  /// The names of the taps that make the interface's layer list ("h0" .. "hL").
  virtual std::vector<std::string> default_taps() const = 0;

  /// Fewest samples at 16 kHz that give one frame.
  virtual std::int64_t minimum_samples() const = 0;

  /// Frames that an utterance of `samples` gives in tap `tap` of `spec()`.
  virtual std::int64_t frames(std::size_t tap, std::int64_t samples) const = 0;

  ///   wave     [samples] float32 or float64, 16 kHz mono, in [-1, 1], not normalised: the upstream does that itself
  ///   taps     indices into spec().taps; layers above the highest one are not computed
  ///   returns  one [T, D] per index, in the wave's dtype
  /// Throws DataError if the wave is shorter than `minimum_samples`.
  virtual std::vector<at::Tensor> forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const = 0;

  /// Hash of everything that determines the numbers: weights, config, input normalisation, and the family's features version.
  virtual std::string fingerprint() const = 0;
};

/// What an upstream family reads: a model folder as Hugging Face writes it ("" for analyses without weights).
using UpstreamRegistry = Registry<Upstream, std::filesystem::path>;

#define STRATA_REGISTER_UPSTREAM(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =       \
      ::strata::UpstreamRegistry::add_variant<Options, Class>(name, summary)

/// Opens the upstream that a study or the command line names:
///   model    a folder with config.json (its `model_type` picks the family), or `user/name` in the Hugging Face cache
///            (HF_HUB_CACHE, HF_HOME), or a registered name without weights (fbank, mfcc)
///   options  JSON object of the family's own options, as written beside `model` in a study
/// Throws ConfigError: no such model (with the command that fetches it), no weights, a missing or unexpected weight, an
/// unsupported option of config.json; always naming folder and key.
std::unique_ptr<Upstream> open_upstream(const std::string& model, const std::filesystem::path& root, FieldReader options);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/feature_spec.h"
#include "core/tensor/safetensors.h"

namespace strata {

/// A frozen speech model (or a fixed analysis): one utterance in, its taps out. There are no batches and so no padding:
/// an utterance's features are those of the utterance alone, in every family. Immutable after construction;
/// `forward` is thread-safe and computes with the calling thread's number of intra-op threads, or on its GPU in the
/// calling thread's stream.
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

  /// Frames that an utterance of `samples` gives in tap `tap` of `spec()`; 0 if it is too short.
  virtual std::int64_t frames(std::size_t tap, std::int64_t samples) const = 0;

  ///   wave     [samples] float32 or float64, 16 kHz mono, in [-1, 1], not normalised: the upstream does that itself
  ///   taps     indices into spec().taps; layers above the highest one are not computed
  ///   returns  one contiguous [T, D] per index, in the wave's dtype, on `device()`, without gradients
  /// Throws DataError if the wave is shorter than `minimum_samples` or so long that memory runs out, ShapeError if it
  /// is no such vector. What it returns shares no memory with the wave.
  virtual std::vector<at::Tensor> forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const = 0;

  /// Where `forward` computes; the wave may be elsewhere.
  virtual c10::Device device() const { return c10::kCPU; }

  /// True if `forward` computes an utterance of so many samples in windows, each with some context, since attention
  /// over all of it takes too long; what that changes is measured against `forward_whole`.
  virtual bool in_windows(std::int64_t) const { return false; }

  /// `forward` without windows. Throws DataError, too, if that takes more memory than there is.
  virtual std::vector<at::Tensor> forward_whole(const at::Tensor& wave, const std::vector<std::size_t>& taps) const {
    return forward(wave, taps);
  }

  /// The arithmetic of its large matrix products on float32 waves: "float32", "bfloat16" or "float16".
  virtual std::string compute() const { return "float32"; }

  /// `forward` in the wave's own precision throughout, against which what `compute` changes is measured. Binds the
  /// weights anew: for a look, not for a corpus.
  virtual std::vector<at::Tensor> forward_exact(const at::Tensor& wave, const std::vector<std::size_t>& taps) const {
    return forward(wave, taps);
  }

  /// The weights that `forward` uses, by their names in the model's folder and as stored there; none for analyses.
  virtual const NamedTensors& weights() const;

  /// `forward` with these values of the weights (all of `weights()`, in the same shapes), for fine-tuning: gradients
  /// reach those that require them, unless gradients are switched off. There is no dropout and no masking. Throws
  /// ConfigError if one is missing or has another shape.
  virtual std::vector<at::Tensor> forward_with(const NamedTensors& weights, const at::Tensor& wave,
                                               const std::vector<std::size_t>& taps) const;

  /// Hash of everything that determines the numbers: weights, config, input normalisation, and the family's features
  /// version. The container and the float type in which equal weights are stored do not change it.
  virtual std::string fingerprint() const = 0;

 protected:
  /// Throws ShapeError or DataError as `forward` promises.
  void check_wave(const at::Tensor& wave) const;
};

/// What an upstream family is made from.
struct ModelPlace {
  std::filesystem::path path;  // a folder as Hugging Face writes it, or a checkpoint of fairseq; "" for analyses
  c10::Device device = c10::kCPU;  // where it is to compute; analyses stay on the CPU
};
using UpstreamRegistry = Registry<Upstream, ModelPlace>;

#define STRATA_REGISTER_UPSTREAM(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =       \
      ::strata::UpstreamRegistry::add_variant<Options, Class>(name, summary)

/// Where models are looked for by name, and where they compute.
struct ModelSearch {
  std::filesystem::path root;       // folder that relative names start from
  std::filesystem::path hub_cache;  // the Hugging Face cache ("models--user--name" inside); "": none
  c10::Device device = c10::kCPU;
};

/// The Hugging Face cache of a process with this environment: HF_HUB_CACHE, else HF_HOME/hub, else
/// XDG_CACHE_HOME/huggingface/hub, else HOME/.cache/huggingface/hub, else "". `variable` is std::getenv in `main`.
std::filesystem::path hub_cache_folder(const std::function<const char*(const char*)>& variable);

/// Opens the upstream that a study or the command line names:
///   model    a folder with config.json (its `model_type` picks the family) or a checkpoint file of fairseq (.pt), else
///            `user/name` in the Hugging Face cache (the snapshot that refs/main names), else a registered name without
///            weights (fbank, mfcc)
///   options  JSON object of the family's own options, as written beside `model` in a study
/// Throws ConfigError: no such model (with the command that fetches it), no weights, a missing or unexpected weight, an
/// unsupported option of config.json; always naming folder and key.
std::unique_ptr<Upstream> open_upstream(const std::string& model, const ModelSearch& search, FieldReader options);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/upstreams/upstream.h"
#include "data/audio/effects/effect.h"
#include "data/batches/alignment.h"
#include "data/store/hdf5.h"

namespace strata {

/// Where a trial's upstreams are now; by their names in the study. Others are looked for where the study had them.
using ModelPlaces = std::map<std::string, std::string>;

/// A trained trial with its upstreams: from the waveform to the decision, by the same steps as in training (effects,
/// upstream, rounding to the stored type, alignment, interface, fusion, head). Immutable and thread-safe.
class Predictor {
 public:
  /// Opens OUTPUT/trials/<id>: trial.json and best.safetensors.
  ///   hub_cache  the Hugging Face cache, "" for none
  /// Throws ConfigError: no such trial or no weights (`keep` was "none"), an upstream that is not there or is not the
  /// one the trial was trained on; DataError: broken files.
  Predictor(const std::filesystem::path& trial, const std::filesystem::path& hub_cache, const ModelPlaces& models = {});

  ///   samples  16 kHz mono, as read_audio gives them
  ///   returns  {"predicted", "probability"} for a class, {"text"} for symbols
  /// Throws DataError if the audio is too short.
  Json predict(std::vector<float> samples) const;

 private:
  struct Source {
    std::unique_ptr<Upstream> upstream;
    std::vector<std::size_t> taps;  // of the upstream, in the order of the layers
    hdf5::StoredType type;          // that features were rounded to
  };

  void open_source(const std::string& name, const Json& trial, std::size_t index,
                   const std::filesystem::path& hub_cache, const ModelPlaces& models);
  std::vector<at::Tensor> features(const at::Tensor& wave) const;

  std::string file_;
  std::vector<Source> sources_;
  std::optional<Alignment> alignment_;
  Effects effects_;
  std::vector<std::string> labels_;
  std::unique_ptr<Model> model_;
  Parameters parameters_;
};

/// The text of a CTC path: repeats collapse, then the blank (symbol 0) and marks (<pad>, <s>, </s>, <eos>) go. Symbols
/// of one character are joined, longer ones have a space between; where the first symbol is "<s>" (SUPERB's letters),
/// "|" is a space.
std::string ctc_text(const std::vector<std::int64_t>& path, const std::vector<std::string>& symbols);

}  // namespace strata

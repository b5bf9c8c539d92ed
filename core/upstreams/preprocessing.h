#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

#include "core/config/fields.h"

namespace strata {

/// What happens to a wave before the stem.
struct WaveNorm {
  bool normalize = false;
  double eps = 1e-7;
};

/// As preprocessor_config.json says (`do_normalize`, true where the key is missing); without that file a stem with
/// layer norms gets normalised waves and one with a group norm does not, as fairseq trained them. eps is Hugging
/// Face's, 1e-7. Throws ConfigError for another sampling rate or another kind of extractor.
WaveNorm read_wave_norm(const std::filesystem::path& folder, bool layer_stem);

/// (x - mean) / sqrt(var + eps) over the utterance with its biased variance, taken in float64; or x itself.
/// wave [n] -> [n], same dtype.
at::Tensor normalize_wave(const at::Tensor& wave, const WaveNorm& norm);

/// Options that every model from a folder takes.
struct SpeechOptions {
  std::string wave_norm = "model";
  double window_seconds = 600;
  double context_seconds = 10;
  std::string compute = "float32";
  void fields(Fields& f) {
    f.text(
        "wave_norm", wave_norm,
        "normalisation of each waveform: as the model's folder says, none, Hugging Face's (eps 1e-7), fairseq's (1e-5)",
        {"model", "none", "huggingface", "fairseq"});
    f.number("window_seconds", window_seconds,
             "the layers see longer utterances in windows of this length (the stem sees them whole); 0: none is cut",
             at_least(0));
    f.number("context_seconds", context_seconds, "at either end of a window, seen but not kept", at_least(0));
    f.text("compute", compute,
           "arithmetic of the large matrix products; 16 bits change the features (by how much is measured and recorded)",
           {"float32", "bfloat16", "float16"});
  }
  /// `of_model` unless another one is asked for.
  WaveNorm choose(const WaveNorm& of_model) const;
  /// `compute` as a type. Throws ConfigError, starting with `place`, if this machine cannot or should not compute so.
  at::ScalarType arithmetic(const std::string& place, c10::Device device) const;
};

}  // namespace strata

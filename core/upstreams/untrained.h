#pragma once

#include <cstdint>
#include <filesystem>

#include "core/config/fields.h"

namespace strata {

/// A HuBERT of any size with random weights: for demonstrations, tests and benchmarks without a download, and the start
/// of a pre-training.
struct UntrainedOptions {
  std::int64_t seed = 0;
  std::int64_t conv_dim = 512;
  std::int64_t hidden_size = 768;
  std::int64_t layers = 12;
  std::int64_t heads = 12;
  std::int64_t intermediate_size = 3072;
  std::int64_t hop_ms = 20;
  void fields(Fields& f) {
    f.number("seed", seed, "of the weights", at_least(0));
    f.number("conv_dim", conv_dim, "channels of the seven convolutions of the stem", at_least(1));
    f.number("hidden_size", hidden_size, "width of the encoder; a multiple of 16 and of heads", at_least(16));
    f.number("layers", layers, "transformer layers", at_least(1));
    f.number("heads", heads, "attention heads of each", at_least(1));
    f.number("intermediate_size", intermediate_size, "width between the two linears of each", at_least(1));
    f.number("hop_ms", hop_ms, "milliseconds from frame to frame: 20 or twice that, each doubling one more convolution", between(20, 320));
  }
};

/// Writes `folder` in Hugging Face's form: model.safetensors, preprocessor_config.json, a model card README.md that
/// says UNTRAINED, and, last, config.json. Group stem, post-LN, as HuBERT base. The weights follow from the options
/// alone. Convolutions start normal with variance 2 / fan_in, linears with 1 / fan_in, biases at 0, norms at 1 and 0.
/// Throws ConfigError if the sizes do not fit each other or if the folder is there and not empty.
void write_untrained_hubert(const std::filesystem::path& folder, const UntrainedOptions& options);

}  // namespace strata

#include "core/upstreams/preprocessing.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/feature_spec.h"
#include "core/upstreams/packed_product.h"

namespace strata {
namespace {

constexpr double kHuggingFaceEps = 1e-7;
constexpr double kFairseqEps = 1e-5;

}  // namespace

WaveNorm read_wave_norm(const fs::path& folder, bool layer_stem) {
  const fs::path path = folder / "preprocessor_config.json";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return {layer_stem, kHuggingFaceEps};
  FieldReader reader(read_json(path), path.string());
  WaveNorm norm{true, kHuggingFaceEps};
  std::int64_t rate = kSampleRateHz, width = 1;
  std::string extractor;
  reader.flag("do_normalize", norm.normalize, "");
  reader.number("sampling_rate", rate, "", {kSampleRateHz, kSampleRateHz});
  reader.number("feature_size", width, "", {1, 1});
  reader.text("feature_extractor_type", extractor, "", {"Wav2Vec2FeatureExtractor"});
  return norm;
}

at::Tensor normalize_wave(const at::Tensor& wave, const WaveNorm& norm) {
  if (!norm.normalize) return wave;
  const at::Tensor exact = wave.to(at::kDouble);
  const at::Tensor centred = exact - exact.mean();
  return (centred / (centred.square().mean() + norm.eps).sqrt()).to(wave.scalar_type());
}

WaveNorm SpeechOptions::choose(const WaveNorm& of_model) const {
  if (wave_norm == "model") return of_model;
  if (wave_norm == "none") return {false, of_model.eps};
  return {true, wave_norm == "fairseq" ? kFairseqEps : kHuggingFaceEps};
}

at::ScalarType SpeechOptions::arithmetic(const std::string& place, c10::Device device) const {
  const at::ScalarType type = compute == "float32" ? at::kFloat : compute == "bfloat16" ? at::kBFloat16 : at::kHalf;
  const std::string refusal = device.is_cpu() ? PackedProduct::refusal(type) : "";
  if (!refusal.empty()) throw ConfigError(fmt::format("{}: compute \"{}\": {}", place, compute, refusal));
  return type;
}

}  // namespace strata

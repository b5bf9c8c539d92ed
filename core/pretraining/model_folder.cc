#include "core/pretraining/model_folder.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/feature_spec.h"

namespace strata {

NamedTensors model_weights(const Parameters& parameters, const std::set<std::string>& heads) {
  const c10::NoGradGuard frozen;
  NamedTensors weights;
  for (const auto& [name, tensor] : parameters.items()) {
    if (heads.contains(name)) continue;
    const at::Tensor half = tensor.to(at::kHalf);
    if (!at::isfinite(half).all().item<bool>())
      throw DataError(fmt::format("the weight {} has values that float16 cannot hold", name));
    weights[name] = half;
  }
  return weights;
}

Json preprocessor_config(bool normalize) {
  return {{"feature_extractor_type", "Wav2Vec2FeatureExtractor"},
          {"do_normalize", normalize},
          {"feature_size", 1},
          {"sampling_rate", kSampleRateHz},
          {"padding_value", 0.0},
          {"padding_side", "right"},
          {"return_attention_mask", false}};
}

void write_model_folder(const fs::path& folder, const NamedTensors& weights, const Json& config,
                        const Json& preprocessor) {
  make_folder(folder);
  write_safetensors(folder / "model.safetensors", weights, {{"format", "pt"}});
  if (!preprocessor.is_null()) write_file_atomically(folder / "preprocessor_config.json", preprocessor.dump(2) + "\n");
  write_file_atomically(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace strata

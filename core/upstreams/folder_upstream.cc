#include "core/upstreams/folder_upstream.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace strata {
namespace {

// SHA-256 of the values as float32 (float64 where they are stored so), whatever the container and the stored type.
std::string hash_values(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
  return sha256({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
}

}  // namespace

FolderUpstream::FolderUpstream(Model model) : model_(std::move(model)) {
  const c10::NoGradGuard frozen;
  const WeightReader reader(std::move(model_.checkpoint), model_.place, at::kFloat, model_.spelling);
  model_.checkpoint.clear();
  encode_float32_ = model_.bind(reader);
  reader.finish(model_.family);
  weights_ = reader.taken();
}

std::vector<std::string> FolderUpstream::default_taps() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < model_.layer_list; ++i) names.push_back(model_.spec.taps[i].name);
  return names;
}

std::int64_t FolderUpstream::frames(std::size_t tap, std::int64_t samples) const {
  return samples < minimum_samples() ? 0 : model_.frames(tap, samples);
}

FolderUpstream::Encode FolderUpstream::bind(const NamedTensors& weights, at::ScalarType dtype) const {
  const WeightReader reader(weights, model_.place, dtype);
  Encode encode = model_.bind(reader);
  reader.finish(model_.family);
  return encode;
}

std::vector<at::Tensor> FolderUpstream::run(const Encode& encode, const at::Tensor& wave,
                                            const std::vector<std::size_t>& taps) const {
  TapCollector collector(model_.spec, taps);
  const at::Tensor input = normalize_wave(wave, model_.wave_norm);
  collector.offer("input", input.unsqueeze(1));
  if (!collector.complete()) encode(input, collector);
  return std::move(collector).states();
}

std::vector<at::Tensor> FolderUpstream::forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  const c10::NoGradGuard frozen;
  if (wave.scalar_type() == at::kFloat) return run(encode_float32_, wave, taps);
  std::call_once(once_float64_, [&] { encode_float64_ = bind(weights_, at::kDouble); });
  return run(encode_float64_, wave, taps);
}

std::vector<at::Tensor> FolderUpstream::forward_with(const NamedTensors& weights, const at::Tensor& wave,
                                                     const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  return run(bind(weights, wave.scalar_type()), wave, taps);
}

std::string FolderUpstream::fingerprint() const {
  std::call_once(once_fingerprint_, [&] {
    Json content = {{"family", model_.family},
                    {"features_version", model_.features_version},
                    {"config", model_.config},
                    {"wave_norm", {{"normalize", model_.wave_norm.normalize}, {"eps", model_.wave_norm.eps}}}};
    for (const auto& [name, tensor] : weights_) {
      content["weights"][name] = {{"shape", tensor.sizes().vec()}, {"sha256", hash_values(tensor)}};
    }
    fingerprint_ = sha256(content.dump());
  });
  return fingerprint_;
}

void require_folder(const std::string& family, const std::filesystem::path& folder) {
  if (!folder.empty()) return;
  throw ConfigError(
      fmt::format("upstream \"{}\" is a family of models: name a folder with config.json and weights, or user/name "
                  "in the Hugging Face cache",
                  family));
}

}  // namespace strata

#include "core/pretraining/ema_teacher.h"

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/upstreams/autocast.h"
#include "core/upstreams/encoder_weights.h"

namespace strata {
namespace {

constexpr const char* kShared = "encoder.pos_conv_embed.";

std::vector<WeightSpec> teacher_weights(const EncoderConfig& config) {
  std::vector<WeightSpec> all;
  for (WeightSpec& spec : encoder_weights(config)) {
    if (spec.name.starts_with("encoder.")) all.push_back(std::move(spec));
  }
  return all;
}

}  // namespace

double EmaOptions::at(std::uint64_t step) const {
  if (step >= static_cast<std::uint64_t>(anneal_steps)) return end_decay;
  return end_decay - (end_decay - decay) * (1.0 - static_cast<double>(step) / static_cast<double>(anneal_steps));
}

bool EmaTeacher::holds(const std::string& name) { return name.starts_with("encoder."); }

void EmaTeacher::start(const Parameters& student) {
  tensors_.clear();
  for (const auto& [name, tensor] : student.items()) {
    if (holds(name)) tensors_[name] = tensor.detach().clone();
  }
  bind();
}

void EmaTeacher::follow(const Parameters& student, std::uint64_t step) {
  const c10::NoGradGuard frozen;
  const double decay = options_.at(step);
  for (const auto& [name, tensor] : student.items()) {
    if (!holds(name)) continue;
    at::Tensor& own = tensors_.at(name);
    if (name.starts_with(kShared)) {
      own.copy_(tensor);
    } else {
      own.mul_(decay).add_(tensor, 1.0 - decay);
    }
  }
  bind();
}

void EmaTeacher::bind() {
  const c10::NoGradGuard frozen;
  const at::Tensor& first = tensors_.begin()->second;
  const WeightReader reader(tensors_, "the teacher", first.scalar_type(), nullptr, at::kFloat, first.device());
  encoder_ = std::make_unique<const TransformerEncoder>(config_, reader.scope("encoder"));
}

std::vector<at::Tensor> EmaTeacher::feed_forward_outputs(const at::Tensor& projected, std::int64_t layers) const {
  if (!encoder_) throw InternalError("a teacher was asked before it was started");
  const c10::NoGradGuard frozen;
  FeatureSpec spec;
  std::vector<std::size_t> wanted;
  for (std::int64_t i = 0; i < layers; ++i) {
    wanted.push_back(spec.taps.size());
    spec.taps.push_back({fmt::format("ffn{}", config_.num_hidden_layers - layers + 1 + i), config_.hidden_size, 1});
  }
  TapCollector taps(spec, wanted);
  (*encoder_)(projected.detach(), taps);
  std::vector<at::Tensor> outputs = std::move(taps).states();
  for (at::Tensor& output : outputs) output = unlowered(output);
  return outputs;
}

void EmaTeacher::load_state(const NamedTensors& state) {
  const std::vector<WeightSpec> weights = teacher_weights(config_);
  NamedTensors loaded;
  for (const WeightSpec& spec : weights) {
    const auto found = state.find(spec.name);
    if (found == state.end()) throw DataError(fmt::format("state of a teacher: the tensor {} is missing", spec.name));
    if (found->second.sizes() != spec.shape)
      throw DataError(fmt::format("state of a teacher: the tensor {} has another shape", spec.name));
    loaded[spec.name] = found->second.clone();
  }
  for (const auto& [name, tensor] : state) {
    if (!loaded.contains(name)) throw DataError(fmt::format("state of a teacher: unknown tensor {}", name));
  }
  tensors_ = std::move(loaded);
  bind();
}

}  // namespace strata

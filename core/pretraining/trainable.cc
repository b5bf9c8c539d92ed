#include "core/pretraining/trainable.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/upstreams/packed_product.h"

namespace strata {
namespace {

constexpr double kLinearDeviation = 0.02;

double deviation_of(const WeightSpec& spec) {
  switch (spec.role) {
    case WeightRole::kConvolution:
      return std::sqrt(2.0 / static_cast<double>(spec.fan_in));
    case WeightRole::kPosition:
      return std::sqrt(4.0 / static_cast<double>(spec.shape[2] * spec.shape[0]));
    default:
      return kLinearDeviation;
  }
}

void draw(const WeightSpec& spec, std::uint64_t seed, const at::Tensor& out) {
  RandomStream random({seed, key_of("initial"), key_of(spec.name)});
  float* values = out.mutable_data_ptr<float>();
  const double bound = 1.0 / std::sqrt(static_cast<double>(spec.fan_in));
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    double value = 0.0;
    switch (spec.role) {
      case WeightRole::kNormWeight:
        value = 1.0;
        break;
      case WeightRole::kNormBias:
      case WeightRole::kBias:
        break;
      case WeightRole::kProjection:
        value = (2.0 * random.uniform() - 1.0) * bound;
        break;
      case WeightRole::kEmbedding:
        value = random.uniform();
        break;
      default:
        value = deviation_of(spec) * random.normal();
    }
    values[i] = static_cast<float>(value);
  }
}

std::int64_t elements(const WeightSpec& spec) {
  std::int64_t count = 1;
  for (const std::int64_t size : spec.shape) count *= size;
  return count;
}

at::ScalarType arithmetic_of(const std::string& compute) { return compute == "bfloat16" ? at::kBFloat16 : at::kFloat; }

}  // namespace

std::vector<ParameterSpec> parameters_of(const std::vector<WeightSpec>& weights) {
  std::vector<ParameterSpec> specs;
  for (const WeightSpec& weight : weights) specs.push_back({weight.name, weight.shape, Init::kZero, weight.fan_in});
  return specs;
}

at::Tensor initial_weights(const std::vector<WeightSpec>& weights, std::uint64_t seed) {
  std::int64_t sum = 0;
  for (const WeightSpec& spec : weights) sum += elements(spec);
  const at::Tensor flat = at::empty({sum}, at::kFloat);
  std::int64_t offset = 0;
  at::Tensor direction;  // of the positional convolution's weight
  for (const WeightSpec& spec : weights) {
    const at::Tensor out = flat.narrow(0, offset, elements(spec));
    offset += out.numel();
    if (spec.role == WeightRole::kPositionNorm) {
      out.copy_(direction.to(at::kDouble).square().sum(at::IntArrayRef({0, 1})).sqrt());
      continue;
    }
    draw(spec, seed, out);
    if (spec.role == WeightRole::kPosition) direction = out.view(spec.shape);
  }
  return flat;
}

std::vector<WeightSpec> head_weights(const std::string& name, std::int64_t in, std::int64_t out) {
  return {{name + ".weight", {out, in}, WeightRole::kProjection, in},
          {name + ".bias", {out}, WeightRole::kProjection, in}};
}

WeightReader reader_of(const Parameters& parameters, const std::string& compute, WeightReader::Spelling spelling) {
  const at::ScalarType arithmetic = arithmetic_of(compute);
  const at::Tensor& first = parameters.items().front().second;
  if (first.is_cpu()) {
    const std::string refusal = PackedProduct::refusal(arithmetic);
    if (!refusal.empty()) throw ConfigError(fmt::format("pre-training with compute \"{}\": {}", compute, refusal));
  }
  NamedTensors tensors;
  for (const auto& [name, tensor] : parameters.items()) tensors[name] = tensor;
  return WeightReader(std::move(tensors), "pre-training", first.scalar_type(), std::move(spelling), arithmetic,
                      first.device());
}

Autocast autocast_of(const Parameters& parameters, const std::string& compute) {
  return Autocast(parameters.items().front().second.device(), arithmetic_of(compute));
}

// x times the factor has the gradient wanted, and what is added back has none.
at::Tensor scale_gradient(const at::Tensor& x, double factor) {
  if (factor == 1.0) return x;
  return factor == 0.0 ? x.detach() : x * factor + x.detach() * (1.0 - factor);
}

at::Tensor mask_frames(const at::Tensor& x, const at::Tensor& masked, const at::Tensor& embedding) {
  return x.index_copy(0, masked, embedding.expand({masked.size(0), embedding.size(0)}));
}

at::Tensor index_tensor(const std::vector<std::int64_t>& indices, const at::Tensor& like) {
  const at::Tensor tensor = at::empty({static_cast<std::int64_t>(indices.size())}, at::kLong);
  std::copy(indices.begin(), indices.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor.to(like.device());
}

void check_frames(std::int64_t frames, const at::Tensor& wave) {
  if (frames < 1) throw DataError(fmt::format("an utterance of {} samples is too short for one frame", wave.size(0)));
}

}  // namespace strata

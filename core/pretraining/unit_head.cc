#include "core/pretraining/unit_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/pretraining/trainable.h"

namespace strata {
namespace {

constexpr std::int64_t kMissingUnits = 2;  // at the end: other analyses count frames a little differently

}  // namespace

PredictedFrames predicted_frames(const UnitOptions& options, std::int64_t frames, const PretrainUtterance& utterance,
                                 const Pass& pass) {
  if (!utterance.units.defined()) throw DataError("an utterance without units cannot be learnt from");
  const std::int64_t units = utterance.units.size(0);
  if (units < frames - kMissingUnits)
    throw DataError(fmt::format("an utterance of {} frames has {} units; expected one each", frames, units));
  RandomStream random({pass.seed, key_of("mask"), pass.step, utterance.key});
  PredictedFrames found{options.mask.draw(frames, random), utterance.units, {}, {}};
  std::vector<bool> masked(frames, false);
  for (const std::int64_t t : found.masked) masked[t] = true;
  for (std::int64_t t = 0; t < std::min(frames, units); ++t) {
    if (masked[t]) found.predicted.push_back(t);
    if (!masked[t] && options.unmasked_weight > 0) found.others.push_back(t);
  }
  return found;
}

PredictedFrames at_slower_rate(const PredictedFrames& frames, std::int64_t factor) {
  const auto kept = [factor](const std::vector<std::int64_t>& all) {
    std::vector<std::int64_t> some;
    for (const std::int64_t t : all) {
      if (t % factor == 0) some.push_back(t / factor);
    }
    return some;
  };
  return {kept(frames.masked), frames.units.slice(0, 0, std::nullopt, factor), kept(frames.predicted),
          kept(frames.others)};
}

UnitHead::UnitHead(const UnitOptions& options, std::string projection, std::string embeddings)
    : options_(options), projection_(std::move(projection)), embeddings_(std::move(embeddings)) {}

std::vector<WeightSpec> UnitHead::weights(std::int64_t width) const {
  std::vector<WeightSpec> all = head_weights(projection_, width, options_.final_dim);
  all.push_back({embeddings_, {options_.classes, options_.final_dim}, WeightRole::kEmbedding, 1});
  return all;
}

UnitLoss UnitHead::loss(const Parameters& parameters, const at::Tensor& states, const std::vector<std::int64_t>& frames,
                        const at::Tensor& units) const {
  const at::Tensor index = index_tensor(frames, states);
  const at::Tensor projected =
      at::linear(states.index_select(0, index), parameters[projection_ + ".weight"], parameters[projection_ + ".bias"]);
  return unit_loss(projected, parameters[embeddings_], units.index_select(0, index_tensor(frames, units)),
                   options_.temperature);
}

ObjectiveSums masked_prediction(const UnitHead& head, const UnitOptions& options, const Parameters& parameters,
                                const at::Tensor& states, const PredictedFrames& frames) {
  const UnitLoss masked = head.loss(parameters, states, frames.predicted, frames.units);
  ObjectiveSums sums{masked.sum, masked.frames, masked.frames, masked.correct, 0.0};
  if (frames.others.empty()) return sums;
  const UnitLoss others = head.loss(parameters, states, frames.others, frames.units);
  sums.loss = sums.loss + others.sum * options.unmasked_weight;
  sums.weight += others.frames;
  return sums;
}

at::Tensor feature_penalty(const at::Tensor& frames, double weight) { return frames.square().mean() * weight; }

}  // namespace strata

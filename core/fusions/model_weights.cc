#include "core/fusions/model_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"

namespace strata {

ModelWeights::ModelWeights(const std::string& fusion, const ModelWeightOptions& options, std::size_t models)
    : learned_(options.weights == "learned"), fixed_(options.p) {
  if (learned_ && !fixed_.empty()) {
    throw ConfigError(fmt::format("{}: p {} is for fixed weights, but weights are learned", fusion, fixed_));
  }
  if (fixed_.empty()) fixed_.assign(models, 1.0 / static_cast<double>(models));
  if (fixed_.size() != models) {
    throw ConfigError(fmt::format("not applicable: fusion {} has {} weights p, {}, for {} upstreams", fusion,
                                  fixed_.size(), fixed_, models));
  }
  const double sum = std::accumulate(fixed_.begin(), fixed_.end(), 0.0);
  if (std::abs(sum - 1.0) > 1e-6 || *std::min_element(fixed_.begin(), fixed_.end()) <= 0) {
    throw ConfigError(fmt::format("{}: p {} is not allowed; takes numbers above 0 whose sum is 1", fusion, fixed_));
  }
}

std::vector<ParameterSpec> ModelWeights::parameters() const {
  if (!learned_) return {};
  return {{"model_weights", {static_cast<std::int64_t>(fixed_.size())}, Init::kZero}};
}

Parameters ModelWeights::mixing_weights(const Parameters& parameters) const {
  Parameters weights;
  if (learned_) weights.add("model_weights", at::softmax(parameters["model_weights"], 0));
  return weights;
}

at::Tensor ModelWeights::mean(const Parameters& parameters, const std::vector<at::Tensor>& x) const {
  at::Tensor learned, sum;
  if (learned_) learned = at::softmax(parameters["model_weights"], 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const at::Tensor share = learned_ ? x[i] * learned.select(0, static_cast<std::int64_t>(i)) : x[i] * fixed_[i];
    sum = i == 0 ? share : sum + share;
  }
  return sum;
}

at::Tensor ModelWeights::log_mixture(const Parameters& parameters, const std::vector<at::Tensor>& logits) const {
  at::Tensor learned;
  if (learned_) learned = at::log_softmax(parameters["model_weights"], 0, at::kDouble);
  std::vector<at::Tensor> terms;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const at::Tensor own = at::log_softmax(logits[i], -1, at::kDouble);
    terms.push_back(learned_ ? own + learned.select(0, static_cast<std::int64_t>(i)) : own + std::log(fixed_[i]));
  }
  return at::logsumexp(at::stack(terms), {0}).to(logits.front().scalar_type());
}

}  // namespace strata

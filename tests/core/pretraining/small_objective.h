#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "core/pretraining/leaf_parameters.h"
#include "core/pretraining/objective.h"

namespace strata {

/// The objective `type` with a model that a test can afford, and these options besides.
std::unique_ptr<Objective> small_objective(const std::string& type, const Json& options = Json::object());

/// `samples` of noise and units that follow from the key.
PretrainUtterance small_utterance(const Objective& objective, std::int64_t samples, std::uint64_t key,
                                  at::ScalarType dtype = at::kFloat);

/// The start of an objective in a type, as leaves with their gradients.
struct Start {
  explicit Start(const Objective& objective, at::ScalarType dtype = at::kFloat, std::uint64_t seed = 1);
  at::Tensor flat, gradient;
  Parameters parameters;
};

}  // namespace strata

#include "core/pretraining/objective.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {

void ObjectiveSums::add(const ObjectiveSums& other) {
  loss = loss.defined() ? loss + other.loss : other.loss;
  weight += other.weight;
  predicted += other.predicted;
  correct += other.correct;
  target_spread += other.target_spread;
  prediction_spread += other.prediction_spread;
}

void Objective::load_state(const NamedTensors& state) {
  if (state.empty()) return;
  throw DataError(fmt::format("state of an objective that has none: unknown tensor \"{}\"", state.begin()->first));
}

}  // namespace strata

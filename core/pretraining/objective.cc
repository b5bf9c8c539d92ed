#include "core/pretraining/objective.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {

void Objective::load_state(const NamedTensors& state) {
  if (state.empty()) return;
  throw DataError(fmt::format("state of an objective that has none: unknown tensor \"{}\"", state.begin()->first));
}

}  // namespace strata

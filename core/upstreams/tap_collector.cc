#include "core/upstreams/tap_collector.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace strata {

TapCollector::TapCollector(const FeatureSpec& spec, const std::vector<std::size_t>& wanted)
    : states_(wanted.size()), missing_(wanted.size()) {
  for (const std::size_t tap : wanted) {
    if (tap >= spec.taps.size())
      throw InternalError(fmt::format("tap {} of an upstream with {}", tap, spec.taps.size()));
    names_.push_back(spec.taps[tap].name);
  }
}

void TapCollector::offer(const std::string& name, const at::Tensor& state) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] != name || states_[i].defined()) continue;
    states_[i] = state.contiguous();
    --missing_;
  }
}

bool TapCollector::wants(const std::string& name) const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i] == name && !states_[i].defined()) return true;
  }
  return false;
}

std::vector<at::Tensor> TapCollector::states() && {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (!states_[i].defined()) throw InternalError("an upstream did not make its tap " + names_[i]);
  }
  return std::move(states_);
}

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "core/tensor/feature_spec.h"

namespace strata {

/// Takes the hidden states that somebody asked for as a model makes them, and says when no more are needed.
class TapCollector {
 public:
  /// `wanted`: indices into spec.taps; throws InternalError if one is not there.
  TapCollector(const FeatureSpec& spec, const std::vector<std::size_t>& wanted);

  /// Keeps `state` [T, D] if it is wanted; it must not be written to afterwards.
  void offer(const std::string& name, const at::Tensor& state);

  /// True if a state of this name is still to come.
  bool wants(const std::string& name) const;

  bool complete() const { return missing_ == 0; }

  /// The states in the order asked for. Throws InternalError if one was never offered.
  std::vector<at::Tensor> states() &&;

 private:
  std::vector<std::string> names_;
  std::vector<at::Tensor> states_;
  std::size_t missing_;
};

}  // namespace strata

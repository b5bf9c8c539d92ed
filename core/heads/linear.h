#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/config/fields.h"
#include "core/tensor/parameters.h"

namespace strata {

/// `<name>.weight` [out, in] and `<name>.bias` [out], as torch starts them.
std::vector<ParameterSpec> linear_parameters(const std::string& name, std::int64_t in, std::int64_t out);

/// x W^T + b.  x [.., in]; returns [.., out].
at::Tensor linear(const Parameters& parameters, const std::string& name, const at::Tensor& x);

/// Options of the heads that are a projector and a classifier.
struct ProjectorOptions {
  std::int64_t projector_width = 256;

  void fields(Fields& f) {
    f.number("projector_width", projector_width, "width between the two affine maps", at_least(1));
  }
};

/// projector.* [P, H] and classifier.* [C, P].
std::vector<ParameterSpec> projector_and_classifier(std::int64_t in, std::int64_t projector_width,
                                                    std::int64_t classes);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "tools/goldens/golden.h"

namespace strata {

/// The line `name` for `got` against `want`: largest absolute difference in float64; infinite for another shape, or
/// where one of them is NaN and the other is not.
GoldenLine compare_tensors(const std::string& name, const at::Tensor& got, const at::Tensor& want, double allowed);

/// Largest absolute value; 0 for no elements.
double peak(const at::Tensor& x);

/// A line that fails because of `reason`.
GoldenLine failing_line(const std::string& name, const std::string& reason);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

namespace strata {

/// A loss as a sum and what it is to be divided by, so that ranks can divide by the count of all of them.
struct LossSum {
  at::Tensor sum;      // scalar; carries the gradient
  double count = 0.0;  // utterances
};

}  // namespace strata

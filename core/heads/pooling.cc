#include "core/heads/pooling.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>

namespace strata {

at::Tensor mean_of_valid_frames(const at::Tensor& x, const at::Tensor& lengths) {
  const at::Tensor count = lengths.to(x.device()).unsqueeze(1);
  const at::Tensor valid = at::arange(x.size(1), count.options()).unsqueeze(0) < count;
  // One product per utterance reads the frames once and makes no masked copy of them.
  const at::Tensor weights = valid.to(x.scalar_type()) / count.to(x.scalar_type());
  return at::bmm(weights.unsqueeze(1), x).squeeze(1);
}

}  // namespace strata

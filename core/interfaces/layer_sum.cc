#include "core/interfaces/layer_sum.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/sum.h>

namespace strata {

// One [1, L] x [L, D] product per frame: batch [16, 300, 13, 768] on one core takes 30 + 19 ms forward + backward;
// matmul with the vector takes 87 + 21, a loop of addcmul 49 + 96. LibTorch does products below 400 multiplications by
// a plain loop, 20 times slower than multiplying and summing.
at::Tensor weighted_layers(const at::Tensor& features, const at::Tensor& weights) {
  const std::int64_t batch = features.size(0), frames = features.size(1), layers = features.size(2),
                     width = features.size(3);
  if (layers * width < 400) return (features * weights.unsqueeze(1)).sum(2);
  return at::bmm(weights.expand({batch * frames, 1, layers}), features.reshape({batch * frames, layers, width}))
      .view({batch, frames, width});
}

}  // namespace strata

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>

#include "core/interfaces/interface.h"

namespace strata {
namespace {

/// y[t] = sum_l softmax(w)_l x[t, l], w from 0: the baseline of arXiv:2406.12209 and s3prl's featurizer.
///   layer_weights  [L]
class WeightedSum : public Interface {
 public:
  WeightedSum(const InterfaceOptions& options, InterfaceInput input) : Interface(input, options.normalize) {}

  std::int64_t output_width() const override { return input().width; }
  std::vector<ParameterSpec> parameters() const override { return {{"layer_weights", {input().layers}, Init::kZero}}; }
  bool affine_per_frame() const override { return true; }

 protected:
  // One [1, L] x [L, D] product per frame: batch [16, 300, 13, 768] on one core takes 30 + 19 ms forward + backward;
  // matmul with the vector takes 87 + 21, a loop of addcmul 49 + 96. LibTorch does products below 400 multiplications by
  // a plain loop, 20 times slower than multiplying and summing.
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    const std::int64_t batch = features.size(0), frames = features.size(1), layers = input().layers,
                       width = input().width;
    const at::Tensor weights = at::softmax(parameters["layer_weights"], 0);
    if (layers * width < 400) return (features * weights.unsqueeze(1)).sum(2);
    return at::bmm(weights.expand({batch * frames, 1, layers}), features.reshape({batch * frames, layers, width}))
        .view({batch, frames, width});
  }
};

STRATA_REGISTER_INTERFACE("weighted_sum", InterfaceOptions, WeightedSum, "softmax-weighted sum over layers");

}  // namespace
}  // namespace strata

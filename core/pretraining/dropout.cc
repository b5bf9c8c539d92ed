#include "core/pretraining/dropout.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "core/base/random.h"

namespace strata {

Dropout keyed_dropout(double probability, const Pass& pass, std::uint64_t utterance) {
  if (!pass.training || probability <= 0) return {};
  return [=, calls = std::uint64_t{0}](const at::Tensor& x) mutable {
    RandomStream random({pass.seed, key_of("dropout"), pass.step, utterance, calls++});
    const at::Tensor kept = at::empty(x.sizes(), at::kFloat);
    const auto scale = static_cast<float>(1.0 / (1.0 - probability));
    float* out = kept.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < kept.numel(); ++i) out[i] = random.uniform() < probability ? 0.0F : scale;
    return x * kept.to(x.options());
  };
}

}  // namespace strata

#include <ATen/ops/_fused_adam.h>

#include "core/optim/adam_moments.h"

namespace strata {
namespace {

/// Adam (Kingma, Ba 2015) as torch has it: weight decay is added to the gradient.
class Adam : public AdamMoments {
 public:
  using AdamMoments::AdamMoments;

 protected:
  // LibTorch's fused kernel: one vectorised pass over the four vectors. It expects the count to be raised by its
  // caller.
  void apply(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate) override {
    step_.add_(1);
    at::_fused_adam_({parameters}, {gradient}, {exp_avg_}, {exp_avg_sq_}, {}, {step_}, learning_rate, options_.betas[0],
                     options_.betas[1], options_.weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  }
};

STRATA_REGISTER_OPTIMIZER("adam", AdamOptions, Adam, "Adam; weight decay is part of the gradient");

}  // namespace
}  // namespace strata

#include <ATen/ops/_fused_adamw.h>

#include "core/optim/adam_moments.h"

namespace strata {
namespace {

struct AdamWOptions : AdamOptions {
  AdamWOptions() { weight_decay = 0.01; }
};

/// AdamW (Loshchilov, Hutter 2019) as torch has it: each parameter, biases included, first shrinks by rate *
/// weight_decay.
class AdamW : public AdamMoments {
 public:
  using AdamMoments::AdamMoments;

 protected:
  // LibTorch's fused kernel: one vectorised pass over the four vectors. It expects the count to be raised by its
  // caller.
  void apply(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate) override {
    step_.add_(1);
    at::_fused_adamw_({parameters}, {gradient}, {exp_avg_}, {exp_avg_sq_}, {}, {step_}, learning_rate,
                      options_.betas[0], options_.betas[1], options_.weight_decay, options_.eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
};

STRATA_REGISTER_OPTIMIZER("adamw", AdamWOptions, AdamW, "Adam with decoupled weight decay");

}  // namespace
}  // namespace strata

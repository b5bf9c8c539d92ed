#include <ATen/ops/add.h>
#include <ATen/ops/zeros_like.h>

#include "core/optim/optimizer.h"

namespace strata {
namespace {

struct SgdOptions : OptimizerOptions {
  double momentum = 0.0;
  double weight_decay = 0.0;

  void fields(Fields& f) {
    OptimizerOptions::fields(f);
    f.number("momentum", momentum, "share of the last step that is kept", between(0, 1));
    f.number("weight_decay", weight_decay, "pull of every parameter towards 0", at_least(0));
  }
};

/// v <- momentum * v + g, p <- p - rate * v, without dampening or Nesterov; v starts at 0, so the first is the
/// gradient.
///   state  momentum_buffer [N], if there is momentum
class Sgd : public Optimizer {
 public:
  Sgd(const SgdOptions& options, const at::Tensor& parameters)
      : Optimizer(parameters, options.learning_rate), options_(options) {
    if (options.momentum != 0.0)
      momentum_buffer_ = at::zeros_like(parameters, parameters.options().requires_grad(false));
  }

  NamedTensors state() const override {
    return momentum_buffer_.defined() ? NamedTensors{{"momentum_buffer", momentum_buffer_}} : NamedTensors{};
  }

 protected:
  void apply(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate) override {
    const at::Tensor decayed =
        options_.weight_decay == 0.0 ? gradient : at::add(gradient, parameters, options_.weight_decay);
    if (momentum_buffer_.defined()) momentum_buffer_.mul_(options_.momentum).add_(decayed);
    parameters.add_(momentum_buffer_.defined() ? momentum_buffer_ : decayed, -learning_rate);
  }

 private:
  SgdOptions options_;
  at::Tensor momentum_buffer_;
};

STRATA_REGISTER_OPTIMIZER("sgd", SgdOptions, Sgd, "gradient descent, with momentum if asked for");

}  // namespace
}  // namespace strata

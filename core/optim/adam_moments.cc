#include "core/optim/adam_moments.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

void AdamOptions::fields(Fields& f) {
  OptimizerOptions::fields(f);
  f.numbers("betas", betas, "decay of the running means of gradient and squared gradient");
  f.number("eps", eps, "added to the root of the second mean", at_least(0));
  f.number("weight_decay", weight_decay, "pull of every parameter towards 0", at_least(0));
}

AdamMoments::AdamMoments(const AdamOptions& options, const at::Tensor& parameters)
    : Optimizer(parameters, options.learning_rate),
      options_(options),
      step_(at::zeros({}, parameters.options().dtype(at::kFloat).requires_grad(false))),
      exp_avg_(at::zeros_like(parameters, parameters.options().requires_grad(false))),
      exp_avg_sq_(at::zeros_like(parameters, parameters.options().requires_grad(false))) {
  const auto good = [](double beta) { return beta >= 0.0 && beta < 1.0; };
  if (options.betas.size() != 2 || !good(options.betas[0]) || !good(options.betas[1])) {
    throw ConfigError(
        fmt::format("optimizer: betas {} are not allowed; takes two numbers from 0 to below 1", options.betas));
  }
}

NamedTensors AdamMoments::state() const {
  return {{"step", step_}, {"exp_avg", exp_avg_}, {"exp_avg_sq", exp_avg_sq_}};
}

}  // namespace strata

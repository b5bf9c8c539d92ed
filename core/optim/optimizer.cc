#include "core/optim/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace strata {

Optimizer::Optimizer(at::Tensor parameters, double learning_rate)
    : parameters_(std::move(parameters)), learning_rate_(learning_rate) {
  if (parameters_.dim() != 1 || !parameters_.is_contiguous()) {
    throw ShapeError(fmt::format("optimizer: expected a contiguous vector of parameters, found the shape {}",
                                 parameters_.sizes().vec()));
  }
}

void Optimizer::step(const at::Tensor& gradient, double learning_rate) {
  if (gradient.sizes() != parameters_.sizes()) {
    throw ShapeError(fmt::format("optimizer: expected a gradient of {} elements, found the shape {}",
                                 parameters_.numel(), gradient.sizes().vec()));
  }
  const at::NoGradGuard no_gradient;
  apply(parameters_, gradient, learning_rate);
}

void Optimizer::load_state(const NamedTensors& state) {
  const at::NoGradGuard no_gradient;
  const NamedTensors own = this->state();
  for (const auto& [name, tensor] : state) {
    if (!own.contains(name))
      throw DataError(fmt::format("optimizer state \"{}\": this optimizer has no such tensor", name));
  }
  for (const auto& [name, tensor] : own) {
    const auto found = state.find(name);
    if (found == state.end()) throw DataError(fmt::format("optimizer state \"{}\" is missing", name));
    if (found->second.sizes() != tensor.sizes() || found->second.scalar_type() != tensor.scalar_type()) {
      throw DataError(fmt::format("optimizer state \"{}\": expected {} {}, found {} {}", name,
                                  toString(tensor.scalar_type()), tensor.sizes().vec(),
                                  toString(found->second.scalar_type()), found->second.sizes().vec()));
    }
  }
  for (const auto& [name, tensor] : own) at::Tensor(tensor).copy_(state.at(name));
}

UpdateResult clipped_step(Optimizer& optimizer, at::Tensor& gradient, double learning_rate, double max_norm) {
  const at::NoGradGuard no_gradient;
  const double norm = at::linalg_vector_norm(gradient).item<double>();
  if (std::isnan(norm)) return {norm, false};
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1.0) gradient.mul_(factor);
  optimizer.step(gradient, learning_rate);
  return {norm, true};
}

}  // namespace strata

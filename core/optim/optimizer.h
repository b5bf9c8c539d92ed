#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/safetensors.h"

namespace strata {

/// Changes one flat vector of parameters by its gradient. Not thread-safe.
class Optimizer {
 public:
  static constexpr const char* kKind = "optimizer";

  ///   parameters  [N] float32 or float64, contiguous; shared, changed in place
  Optimizer(at::Tensor parameters, double learning_rate);
  virtual ~Optimizer() = default;

  /// One update.
  ///   gradient       [N], dtype and device of the parameters; not changed
  ///   learning_rate  of this update: `learning_rate()` times the schedule's factor
  void step(const at::Tensor& gradient, double learning_rate);

  /// As configured.
  double learning_rate() const { return learning_rate_; }

  /// What an update depends on besides parameters and gradient, for checkpoints. The tensors are shared, not copied.
  virtual NamedTensors state() const = 0;

  /// Continues from a `state()`, bit for bit. Throws DataError that names a tensor that is missing, unknown or of
  /// another shape or dtype.
  void load_state(const NamedTensors& state);

 protected:
  virtual void apply(at::Tensor& parameters, const at::Tensor& gradient, double learning_rate) = 0;

 private:
  at::Tensor parameters_;
  double learning_rate_;
};

using OptimizerRegistry = Registry<Optimizer, at::Tensor>;

#define STRATA_REGISTER_OPTIMIZER(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =        \
      ::strata::OptimizerRegistry::add_variant<Options, Class>(name, summary)

/// Options that every optimizer takes; its own come after.
struct OptimizerOptions {
  double learning_rate = 1e-3;

  void fields(Fields& f) { f.number("learning_rate", learning_rate, "of an update, before the schedule", at_least(0)); }
};

/// What became of an update.
struct UpdateResult {
  double gradient_norm = 0.0;  // L2 over all parameters, before clipping
  bool applied = false;        // false: the norm was NaN and neither parameters nor the optimizer's state changed
};

/// Clips the gradient in place, g <- g * min(1, max_norm / (norm + 1e-6)), and makes one update; skips it if the norm
/// is NaN. The schedule goes on in either case.
///   gradient  [N], summed over micro-batches and ranks and divided
UpdateResult clipped_step(Optimizer& optimizer, at::Tensor& gradient, double learning_rate, double max_norm);

}  // namespace strata

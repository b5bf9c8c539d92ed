#pragma once

#include <vector>

#include "core/optim/optimizer.h"

namespace strata {

struct AdamOptions : OptimizerOptions {
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.0;

  void fields(Fields& f);
};

/// What Adam and AdamW share: the state `step` [] float32 (updates made), `exp_avg` [N] and `exp_avg_sq` [N].
/// Throws ConfigError if `betas` are not two numbers from 0 to below 1.
class AdamMoments : public Optimizer {
 public:
  AdamMoments(const AdamOptions& options, const at::Tensor& parameters);

  NamedTensors state() const override;

 protected:
  AdamOptions options_;
  at::Tensor step_;
  at::Tensor exp_avg_;
  at::Tensor exp_avg_sq_;
};

}  // namespace strata

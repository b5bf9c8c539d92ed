#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/config/fields.h"
#include "core/tensor/parameters.h"

namespace strata {

/// Options of fusions that weigh models.
struct ModelWeightOptions {
  std::string weights = "fixed";
  std::vector<double> p;

  void fields(Fields& f) {
    f.text("weights", weights, "the models' weights p: as given, or the softmax of one learned number a model, from 0",
           {"fixed", "learned"});
    f.numbers("p", p, "fixed weights, one for each upstream, each above 0, their sum 1; empty: all equal");
  }
};

/// The convex weights p of m models.
///   model_weights  [m], before the softmax; only if learned
class ModelWeights {
 public:
  /// `fusion` is named in errors. Throws ConfigError if `p` does not fit the options or the number of models.
  ModelWeights(const std::string& fusion, const ModelWeightOptions& options, std::size_t models);

  std::vector<ParameterSpec> parameters() const;
  /// "model_weights" if learned.
  Parameters mixing_weights(const Parameters& parameters) const;

  /// sum_i p_i x_i, tensors of one shape.
  at::Tensor mean(const Parameters& parameters, const std::vector<at::Tensor>& x) const;

  /// log sum_i p_i softmax(z_i), over the last axis, as logsumexp_i(log p_i + log_softmax(z_i)); float64 within: the
  /// gradient of p is what remains of large numbers.
  at::Tensor log_mixture(const Parameters& parameters, const std::vector<at::Tensor>& logits) const;

 private:
  bool learned_;
  std::vector<double> fixed_;
};

}  // namespace strata

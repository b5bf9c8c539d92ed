#include <ATen/ops/softmax.h>

#include "core/interfaces/interface.h"
#include "core/interfaces/layer_sum.h"

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

  Parameters mixing_weights(const Parameters& parameters) const override {
    Parameters weights;
    weights.add("layer_weights", at::softmax(parameters["layer_weights"], 0));
    return weights;
  }

 protected:
  bool reads_stored_types() const override { return true; }
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    return weighted_layers(features, at::softmax(parameters["layer_weights"], 0));
  }
};

STRATA_REGISTER_INTERFACE("weighted_sum", InterfaceOptions, WeightedSum,
                          "y[t] = sum_l softmax(w)_l x[t, l] (SUPERB, arXiv:2105.01051)");

}  // namespace
}  // namespace strata

#include "core/fusions/fusion.h"
#include "core/fusions/model_weights.h"
#include "core/fusions/projection.h"

namespace strata {
namespace {

struct StructuredOptions : ModelWeightOptions, ProjectionOptions {
  void fields(Fields& f) {
    ModelWeightOptions::fields(f);
    ProjectionOptions::fields(f);
  }
};

/// F(sum_i p_i I_i(x_i)): an interface per model, then a convex combination (arXiv:2212.10092, equation 2, where I is
/// the weighted sum). With `project_to` what an interface gives is mapped before it is weighed.
///   model_weights             [m], if learned
///   align.<i>.{weight, bias}  see Projection
/// Throws ConfigError if the interfaces' widths differ without `project_to`, or p does not fit.
class Structured : public Fusion {
 public:
  Structured(const StructuredOptions& options, const FusionInput& input)
      : weights_("structured", options, input.widths.size()),
        projection_("structured", options, input.interface_widths) {}

  std::int64_t head_width(std::size_t) const override { return projection_.width(); }
  bool affine_per_frame() const override { return true; }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs = weights_.parameters();
    for (ParameterSpec& spec : projection_.parameters()) specs.push_back(std::move(spec));
    return specs;
  }

  Parameters mixing_weights(const Parameters& parameters) const override { return weights_.mixing_weights(parameters); }

  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    std::vector<at::Tensor> outputs;
    for (std::size_t i = 0; i < features.size(); ++i) {
      outputs.push_back(projection_.apply(parameters, i, parts.interface(i, features[i])));
    }
    return parts.head(0, weights_.mean(parameters, outputs));
  }

 private:
  ModelWeights weights_;
  Projection projection_;
};

STRATA_REGISTER_FUSION(
    "structured", StructuredOptions, Structured,
    "an interface per model, then a convex combination: head(sum_i p_i I_i(x_i)) (arXiv:2212.10092, eq. 2)");

}  // namespace
}  // namespace strata

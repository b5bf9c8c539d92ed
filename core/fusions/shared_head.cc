#include "core/fusions/fusion.h"
#include "core/fusions/model_weights.h"
#include "core/fusions/probability.h"
#include "core/fusions/projection.h"

namespace strata {
namespace {

struct SharedHeadOptions : ModelWeightOptions, ProjectionOptions {
  void fields(Fields& f) {
    ModelWeightOptions::fields(f);
    ProjectionOptions::fields(f);
  }
};

/// sum_i p_i F(I_i(x_i)): one head, with its softmax, decides for each model (arXiv:2212.10092, equation 3). With
/// `project_to` what an interface gives is mapped before the head. Returns the logarithm; see Note [What probability
/// fusion fuses]. Dropout, if the head has any, hides the same units from all models of an utterance.
///   model_weights             [m], if learned
///   align.<i>.{weight, bias}  see Projection
/// Throws ConfigError if the interfaces' widths differ without `project_to`, or p does not fit.
class SharedHead : public Fusion {
 public:
  SharedHead(const SharedHeadOptions& options, const FusionInput& input)
      : weights_("shared_head", options, input.widths.size()),
        projection_("shared_head", options, input.interface_widths) {}

  std::int64_t head_width(std::size_t) const override { return projection_.width(); }
  void check_output(HeadOutput output) const override { require_distribution("shared_head", output); }
  bool affine_per_frame() const override { return true; }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs = weights_.parameters();
    for (ParameterSpec& spec : projection_.parameters()) specs.push_back(std::move(spec));
    return specs;
  }

  Parameters mixing_weights(const Parameters& parameters) const override { return weights_.mixing_weights(parameters); }

  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    std::vector<at::Tensor> logits;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const at::Tensor x = projection_.apply(parameters, i, parts.interface(i, features[i]));
      logits.push_back(parts.head(0, x));
    }
    return weights_.log_mixture(parameters, logits);
  }

 private:
  ModelWeights weights_;
  Projection projection_;
};

STRATA_REGISTER_FUSION(
    "shared_head", SharedHeadOptions, SharedHead,
    "probabilities of one head shared by all models: sum_i p_i head(I_i(x_i)) (arXiv:2212.10092, eq. 3)");

}  // namespace
}  // namespace strata

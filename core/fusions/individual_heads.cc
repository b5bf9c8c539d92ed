#include "core/fusions/fusion.h"
#include "core/fusions/model_weights.h"
#include "core/fusions/probability.h"

namespace strata {
namespace {

/// sum_i p_i F_i(I_i(x_i)): a head, with its softmax, for each model (arXiv:2212.10092, equation 4). Widths may differ.
/// Returns the logarithm; see Note [What probability fusion fuses].
///   model_weights  [m], if learned
/// Throws ConfigError if p does not fit.
class IndividualHeads : public Fusion {
 public:
  IndividualHeads(const ModelWeightOptions& options, const FusionInput& input)
      : weights_("individual_heads", options, input.widths.size()), widths_(input.interface_widths) {}

  std::size_t heads() const override { return widths_.size(); }
  std::int64_t head_width(std::size_t j) const override { return widths_.at(j); }
  void check_output(HeadOutput output) const override { require_distribution("individual_heads", output); }
  bool affine_per_frame() const override { return true; }
  std::vector<ParameterSpec> parameters() const override { return weights_.parameters(); }
  Parameters mixing_weights(const Parameters& parameters) const override { return weights_.mixing_weights(parameters); }

  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    std::vector<at::Tensor> logits;
    for (std::size_t i = 0; i < features.size(); ++i) {
      logits.push_back(parts.head(i, parts.interface(i, features[i])));
    }
    return weights_.log_mixture(parameters, logits);
  }

 private:
  ModelWeights weights_;
  std::vector<std::int64_t> widths_;
};

STRATA_REGISTER_FUSION("individual_heads", ModelWeightOptions, IndividualHeads,
                       "probabilities of a head per model: sum_i p_i head_i(I_i(x_i)) (arXiv:2212.10092, eq. 4)");

}  // namespace
}  // namespace strata

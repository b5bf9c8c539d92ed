#include <ATen/TensorOperators.h>
#include <ATen/ops/softmax.h>
#include <fmt/format.h>

#include <numeric>

#include "core/fusions/fusion.h"
#include "core/fusions/projection.h"
#include "core/interfaces/interface.h"
#include "core/interfaces/layer_sum.h"

namespace strata {
namespace {

struct NaiveOptions : InterfaceOptions, ProjectionOptions {
  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    ProjectionOptions::fields(f);
  }
};

/// F(sum_ij w_ij x_ij), one softmax over all layers of all models, model 0 first (arXiv:2212.10092, equation 1);
/// weights from 0. With `project_to` each layer is mapped before the sum: sum_ij w_ij (A_i x_ij + b_i), computed as A_i
/// (sum_j w_ij x_ij) + (sum_j w_ij) b_i.
///   layer_weights             [sum L_i]
///   align.<i>.{weight, bias}  see Projection
/// Throws ConfigError if widths differ without `project_to`.
class Naive : public Fusion {
 public:
  static constexpr bool kUsesInterfaces = false;

  Naive(const NaiveOptions& options, const FusionInput& input)
      : input_(input), normalize_(options.normalize), projection_("naive", options, input.widths) {}

  std::int64_t head_width(std::size_t) const override { return projection_.width(); }
  // The mean of normalised features is not the normalised mean.
  bool affine_per_frame() const override { return !normalize_; }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t layers = std::accumulate(input_.layers.begin(), input_.layers.end(), std::int64_t{0});
    std::vector<ParameterSpec> specs = {{"layer_weights", {layers}, Init::kZero}};
    for (ParameterSpec& spec : projection_.parameters()) specs.push_back(std::move(spec));
    return specs;
  }

  Parameters mixing_weights(const Parameters& parameters) const override {
    Parameters weights;
    const std::vector<at::Tensor> shares = shares_of(parameters);
    for (std::size_t i = 0; i < shares.size(); ++i) weights.add(fmt::format("{}.layer_weights", i), shares[i]);
    return weights;
  }

  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    const std::vector<at::Tensor> shares = shares_of(parameters);
    at::Tensor sum;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const at::Tensor layers = layers_as_read(features[i], {input_.layers[i], input_.widths[i]}, normalize_, /*as_stored=*/true);
      const at::Tensor mapped = projection_.apply(parameters, i, weighted_layers(layers, shares[i]), shares[i].sum());
      sum = i == 0 ? mapped : sum + mapped;
    }
    return parts.head(0, sum);
  }

 private:
  /// Each model's part of the softmax, [L_i].
  std::vector<at::Tensor> shares_of(const Parameters& parameters) const {
    const at::Tensor weights = at::softmax(parameters["layer_weights"], 0);
    std::vector<at::Tensor> shares;
    std::int64_t first = 0;
    for (const std::int64_t layers : input_.layers) {
      shares.push_back(weights.narrow(0, first, layers));
      first += layers;
    }
    return shares;
  }

  FusionInput input_;
  bool normalize_;
  Projection projection_;
};

STRATA_REGISTER_FUSION("naive", NaiveOptions, Naive,
                       "one softmax over all layers of all models: head(sum_ij w_ij x_ij) (arXiv:2212.10092, eq. 1)");

}  // namespace
}  // namespace strata

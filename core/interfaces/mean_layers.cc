#include <ATen/ops/full.h>

#include "core/interfaces/interface.h"
#include "core/interfaces/layer_sum.h"

namespace strata {
namespace {

/// y[t] = sum_l x[t, l] / L: a weighted sum that learns nothing, to tell what learning its weights brings.
class MeanLayers : public Interface {
 public:
  MeanLayers(const InterfaceOptions& options, InterfaceInput input) : Interface(input, options.normalize) {}

  std::int64_t output_width() const override { return input().width; }
  bool affine_per_frame() const override { return true; }

 protected:
  bool reads_stored_types() const override { return true; }
  at::Tensor apply(const Parameters&, const at::Tensor& features) const override {
    const at::ScalarType type = features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const double share = 1.0 / static_cast<double>(input().layers);
    return weighted_layers(features, at::full({input().layers}, share, features.options().dtype(type)));
  }
};

STRATA_REGISTER_INTERFACE("mean_layers", InterfaceOptions, MeanLayers, "y[t] = sum_l x[t, l] / L");

}  // namespace
}  // namespace strata

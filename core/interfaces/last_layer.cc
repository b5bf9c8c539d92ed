#include "core/interfaces/interface.h"

namespace strata {
namespace {

/// y[t] = x[t, L - 1].
class LastLayer : public Interface {
 public:
  LastLayer(const InterfaceOptions& options, InterfaceInput input) : Interface(input, options.normalize) {}

  std::int64_t output_width() const override { return input().width; }
  bool affine_per_frame() const override { return true; }

 protected:
  bool reads_stored_types() const override { return true; }
  at::Tensor apply(const Parameters&, const at::Tensor& features) const override {
    return computable(features.select(2, -1));
  }
};

STRATA_REGISTER_INTERFACE("last_layer", InterfaceOptions, LastLayer, "y[t] = x[t, L - 1]");

}  // namespace
}  // namespace strata

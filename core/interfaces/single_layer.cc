#include <fmt/format.h>

#include "core/base/error.h"
#include "core/interfaces/interface.h"

namespace strata {
namespace {

struct SingleLayerOptions : InterfaceOptions {
  Json layer = -1;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.index_or_name("layer", layer, "index in the layer list, negative from the end; or the name of a tap");
    if (!layer.is_string()) return;
    // A name is the one tap that is read: the same trial as with {"taps": [name]}.
    taps = {layer.get<std::string>()};
    layer = -1;
  }
};

/// y[t] = x[t, layer]. Throws ConfigError if there is no such layer.
class SingleLayer : public Interface {
 public:
  SingleLayer(const SingleLayerOptions& options, InterfaceInput input)
      : Interface(input, options.normalize), layer_(options.layer.get<std::int64_t>()) {
    if (layer_ < -input.layers || layer_ >= input.layers) {
      throw ConfigError(
          fmt::format("not applicable: single_layer wants layer {}, but there are {} layers", layer_, input.layers));
    }
  }

  std::int64_t output_width() const override { return input().width; }
  bool affine_per_frame() const override { return true; }

 protected:
  bool reads_stored_types() const override { return true; }
  at::Tensor apply(const Parameters&, const at::Tensor& features) const override {
    return computable(features.select(2, layer_));
  }

 private:
  std::int64_t layer_;
};

STRATA_REGISTER_INTERFACE("single_layer", SingleLayerOptions, SingleLayer, "y[t] = x[t, layer]");

}  // namespace
}  // namespace strata

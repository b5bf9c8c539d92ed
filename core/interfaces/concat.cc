#include <ATen/ops/linear.h>

#include "core/interfaces/interface.h"

namespace strata {
namespace {

struct ConcatOptions : InterfaceOptions {
  std::int64_t output_dim = 0;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.number("output_dim", output_dim, "width H of the output; 0: the upstream's", at_least(0));
  }
};

/// y[t] = W [x[t, 0]; ..; x[t, L - 1]] + b, column l * D + d; affine, so nothing non-linear (restated: no public code).
///   projection.{weight, bias}  [H, L * D], [H]
class Concat : public Interface {
 public:
  Concat(const ConcatOptions& options, InterfaceInput input)
      : Interface(input, options.normalize),
        output_width_(options.output_dim == 0 ? input.width : options.output_dim) {}

  std::int64_t output_width() const override { return output_width_; }
  bool affine_per_frame() const override { return true; }

  std::vector<ParameterSpec> parameters() const override {
    const std::int64_t in = input().layers * input().width;
    return {{"projection.weight", {output_width_, in}, Init::kUniformFanIn, in},
            {"projection.bias", {output_width_}, Init::kUniformFanIn, in}};
  }

 protected:
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    return at::linear(features.flatten(2), parameters["projection.weight"], parameters["projection.bias"]);
  }

 private:
  std::int64_t output_width_;
};

STRATA_REGISTER_INTERFACE("concat", ConcatOptions, Concat,
                          "y[t] = W [x[t, 0]; ..; x[t, L - 1]] + b (after arXiv:2406.12209, restated)");

}  // namespace
}  // namespace strata

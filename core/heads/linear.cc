#include "core/heads/linear.h"

#include <ATen/ops/linear.h>

namespace strata {

std::vector<ParameterSpec> linear_parameters(const std::string& name, std::int64_t in, std::int64_t out) {
  return {{name + ".weight", {out, in}, Init::kUniformFanIn, in}, {name + ".bias", {out}, Init::kUniformFanIn, in}};
}

at::Tensor linear(const Parameters& parameters, const std::string& name, const at::Tensor& x) {
  return at::linear(x, parameters[name + ".weight"], parameters[name + ".bias"]);
}

std::vector<ParameterSpec> projector_and_classifier(std::int64_t in, std::int64_t projector_width,
                                                    std::int64_t classes) {
  std::vector<ParameterSpec> specs = linear_parameters("projector", in, projector_width);
  for (ParameterSpec& spec : linear_parameters("classifier", projector_width, classes))
    specs.push_back(std::move(spec));
  return specs;
}

}  // namespace strata

#include "core/fusions/projection.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace strata {

Projection::Projection(const std::string& fusion, const ProjectionOptions& options, std::vector<std::int64_t> widths)
    : project_to_(options.project_to), widths_(std::move(widths)) {
  for (const std::int64_t width : widths_) {
    if (project_to_ == 0 && width != widths_.front()) {
      throw ConfigError(
          fmt::format("not applicable: fusion {} of the widths {} needs a learned map of each to a common width: set "
                      "project_to",
                      fusion, fmt::join(widths_, ", ")));
    }
  }
}

std::vector<ParameterSpec> Projection::parameters() const {
  std::vector<ParameterSpec> specs;
  for (std::size_t i = 0; i < widths_.size() && project_to_ != 0; ++i) {
    specs.push_back({fmt::format("align.{}.weight", i), {project_to_, widths_[i]}, Init::kUniformFanIn, widths_[i]});
    specs.push_back({fmt::format("align.{}.bias", i), {project_to_}, Init::kUniformFanIn, widths_[i]});
  }
  return specs;
}

at::Tensor Projection::apply(const Parameters& parameters, std::size_t i, const at::Tensor& x,
                             const at::Tensor& share) const {
  if (project_to_ == 0) return x;
  const at::Tensor& bias = parameters[fmt::format("align.{}.bias", i)];
  return at::linear(x, parameters[fmt::format("align.{}.weight", i)], share.defined() ? bias * share : bias);
}

}  // namespace strata

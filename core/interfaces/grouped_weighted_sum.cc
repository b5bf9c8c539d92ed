#include "core/interfaces/grouped_weighted_sum.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/interfaces/interface.h"
#include "core/interfaces/layer_sum.h"

namespace strata {
namespace {

struct GroupedOptions : InterfaceOptions {
  std::int64_t groups = 2;
  bool project = true;
  std::int64_t output_dim = 0;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.number("groups", groups, "runs of neighbouring layers, each with its own softmax", at_least(1));
    f.flag("project", project, "an affine map after the sums; without it H = groups * D");
    f.number("output_dim", output_dim, "width H after the map; 0: the upstream's", at_least(0));
  }
};

/// Layers are cut into G runs, the first L mod G one longer; a softmax and a weighted sum per run, weights from 0; the
/// sums side by side, g * D + d, then an affine map (restated: no public code).
///   layer_weights              [L]
///   projection.{weight, bias}  [H, G * D], [H], unless `project` is off
/// Throws ConfigError if there are fewer layers than groups, or an `output_dim` without `project`.
class GroupedWeightedSum : public Interface {
 public:
  GroupedWeightedSum(const GroupedOptions& options, InterfaceInput input)
      : Interface(input, options.normalize), groups_(options.groups), project_(options.project) {
    if (groups_ > input.layers) {
      throw ConfigError(fmt::format("not applicable: grouped_weighted_sum wants {} groups, but there are {} layers",
                                    groups_, input.layers));
    }
    if (!project_ && options.output_dim != 0) {
      throw ConfigError(fmt::format("grouped_weighted_sum: output_dim {} needs project", options.output_dim));
    }
    output_width_ = !project_ ? groups_ * input.width : options.output_dim == 0 ? input.width : options.output_dim;
  }

  std::int64_t output_width() const override { return output_width_; }
  bool affine_per_frame() const override { return true; }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs = {{"layer_weights", {input().layers}, Init::kZero}};
    if (!project_) return specs;
    const std::int64_t in = groups_ * input().width;
    specs.push_back({"projection.weight", {output_width_, in}, Init::kUniformFanIn, in});
    specs.push_back({"projection.bias", {output_width_}, Init::kUniformFanIn, in});
    return specs;
  }

  /// Each group's weights sum to 1.
  Parameters mixing_weights(const Parameters& parameters) const override {
    Parameters weights;
    weights.add("layer_weights", at::cat(group_weights(parameters["layer_weights"])));
    return weights;
  }

 protected:
  bool reads_stored_types() const override { return true; }
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    std::vector<at::Tensor> sums;
    std::int64_t first = 0;
    for (const at::Tensor& weights : group_weights(parameters["layer_weights"])) {
      sums.push_back(weighted_layers(features.narrow(2, first, weights.size(0)), weights));
      first += weights.size(0);
    }
    const at::Tensor y = at::cat(sums, -1);
    return project_ ? at::linear(y, parameters["projection.weight"], parameters["projection.bias"]) : y;
  }

 private:
  /// Each group's softmax.
  std::vector<at::Tensor> group_weights(const at::Tensor& layer_weights) const {
    std::vector<at::Tensor> groups;
    std::int64_t first = 0;
    for (const std::int64_t count : layer_group_sizes(input().layers, groups_)) {
      groups.push_back(at::softmax(layer_weights.narrow(0, first, count), 0));
      first += count;
    }
    return groups;
  }

  std::int64_t groups_;
  bool project_;
  std::int64_t output_width_;
};

STRATA_REGISTER_INTERFACE("grouped_weighted_sum", GroupedOptions, GroupedWeightedSum,
                          "[s_1; ..; s_G] W^T + b, s_g the weighted sum of a run of neighbouring layers (after "
                          "arXiv:2406.12209, restated)");

}  // namespace

std::vector<std::int64_t> layer_group_sizes(std::int64_t layers, std::int64_t groups) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t g = 0; g < groups; ++g) sizes.push_back(layers / groups + (g < layers % groups ? 1 : 0));
  return sizes;
}

}  // namespace strata

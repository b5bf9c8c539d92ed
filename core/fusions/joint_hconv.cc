#include "core/fusions/joint_hconv.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>

#include "core/fusions/fusion.h"
#include "core/interfaces/hconv.h"

namespace strata {
namespace {

/// The channels of all models side by side, layer by layer, [B, T, L, sum D_i], through HConv (after arXiv:2511.08389;
/// core/interfaces/hconv.cc has the convolutions). L is the depth of the shallowest model; a deeper one is read at
/// evenly spaced layers, which are recorded. `normalize` is of each model's own channels.
///   conv.<i>.{weight, bias}  see HConv
/// Throws ConfigError as HConv does.
class JointHConv : public Fusion {
 public:
  static constexpr bool kUsesInterfaces = false;

  JointHConv(const HConvOptions& options, const FusionInput& input) : input_(input), normalize_(options.normalize) {
    const std::int64_t depth = *std::min_element(input.layers.begin(), input.layers.end());
    HConvOptions joint = options;
    joint.normalize = false;
    hconv_ = make_hconv(joint, {depth, std::accumulate(input.widths.begin(), input.widths.end(), std::int64_t{0})});
    for (const std::int64_t layers : input.layers) read_.push_back(evenly_spaced_layers(layers, depth));
  }

  std::int64_t head_width(std::size_t) const override { return hconv_->output_width(); }
  std::vector<ParameterSpec> parameters() const override { return hconv_->parameters(); }
  Json decisions() const override { return {{"layers_read", read_}}; }

  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const FusionParts& parts) const override {
    std::vector<at::Tensor> channels;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const at::Tensor layers = layers_as_read(features[i], {input_.layers[i], input_.widths[i]}, normalize_);
      channels.push_back(static_cast<std::int64_t>(read_[i].size()) == input_.layers[i]
                             ? layers
                             : layers.index_select(2, at::tensor(read_[i]).to(layers.device())));
    }
    return parts.head(0, hconv_->forward(parameters, at::cat(channels, 3)));
  }

 private:
  FusionInput input_;
  bool normalize_;
  std::vector<std::vector<std::int64_t>> read_;  // of each model
  std::unique_ptr<Interface> hconv_;
};

STRATA_REGISTER_FUSION("joint_hconv", HConvOptions, JointHConv,
                       "channels of all models side by side through HConv over layers (after arXiv:2511.08389)");

}  // namespace

std::vector<std::int64_t> evenly_spaced_layers(std::int64_t layers, std::int64_t kept) {
  std::vector<std::int64_t> read;
  const std::int64_t steps = std::max<std::int64_t>(kept - 1, 1);
  // floor(a / b + 1 / 2) of whole numbers is (2 a + b) / (2 b).
  for (std::int64_t i = 0; i < kept; ++i) read.push_back((2 * i * (layers - 1) + steps) / (2 * steps));
  return read;
}

}  // namespace strata

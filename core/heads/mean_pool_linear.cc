#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/heads/head.h"
#include "core/heads/linear.h"
#include "core/heads/pooling.h"

namespace strata {
namespace {

/// Affine map to `projector_width`, mean over valid frames, affine map to the classes; nothing non-linear between
/// (KS, IC, SID, ER in SUPERB; s3prl's UtteranceLevel).
///   projector.{weight, bias}   [P, H], [P]
///   classifier.{weight, bias}  [C, P], [C]
class MeanPoolLinear : public Head {
 public:
  MeanPoolLinear(const ProjectorOptions& options, HeadInput input) : options_(options), input_(input) {}

  HeadOutput output() const override { return HeadOutput::kUtteranceLogits; }
  bool uses_time_mean_only() const override { return true; }

  std::vector<ParameterSpec> parameters() const override {
    return projector_and_classifier(input_.width, options_.projector_width, input_.classes);
  }

  at::Tensor forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor& lengths) const override {
    if (x.dim() != 3 || x.size(2) != input_.width) {
      throw ShapeError(fmt::format("mean_pool_linear: expected [B, T, {}], found {}", input_.width, x.sizes().vec()));
    }
    // The mean of an affine map is the map of the mean: pooled first, the projector sees B rows instead of B * T.
    return linear(parameters, "classifier", linear(parameters, "projector", mean_of_valid_frames(x, lengths)));
  }

 private:
  ProjectorOptions options_;
  HeadInput input_;
};

STRATA_REGISTER_HEAD("mean_pool_linear", ProjectorOptions, MeanPoolLinear,
                     "utterance classifier: affine, mean over frames, affine");

}  // namespace
}  // namespace strata

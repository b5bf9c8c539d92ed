#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/heads/head.h"
#include "core/heads/linear.h"

namespace strata {
namespace {

/// Two affine maps, frame by frame, nothing non-linear between (PR in SUPERB; s3prl's FrameLevel).
///   projector.{weight, bias}   [P, H], [P]
///   classifier.{weight, bias}  [C, P], [C]; symbol 0 is the blank
class LinearCtc : public Head {
 public:
  LinearCtc(const ProjectorOptions& options, HeadInput input) : options_(options), input_(input) {}

  HeadOutput output() const override { return HeadOutput::kFrameLogits; }

  std::vector<ParameterSpec> parameters() const override {
    return projector_and_classifier(input_.width, options_.projector_width, input_.classes);
  }

  at::Tensor forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor&) const override {
    if (x.dim() != 3 || x.size(2) != input_.width) {
      throw ShapeError(fmt::format("linear_ctc: expected [B, T, {}], found {}", input_.width, x.sizes().vec()));
    }
    return linear(parameters, "classifier", linear(parameters, "projector", x));
  }

 private:
  ProjectorOptions options_;
  HeadInput input_;
};

STRATA_REGISTER_HEAD("linear_ctc", ProjectorOptions, LinearCtc, "symbols per frame for CTC: affine, affine");

}  // namespace
}  // namespace strata

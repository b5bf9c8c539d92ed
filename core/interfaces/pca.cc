#include "core/interfaces/pca.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/interfaces/interface.h"

namespace strata {
namespace {

struct PcaOptions : InterfaceOptions {
  std::int64_t output_dim = 0;

  void fields(Fields& f) {
    InterfaceOptions::fields(f);
    f.number("output_dim", output_dim, "axes kept, the width H of the output; 0: the upstream's width", at_least(0));
  }
};

/// y[t] = V ([x[t, 0]; ..; x[t, L - 1]] - mean), V the leading principal axes of the concatenated layers, l * D + d,
/// over all valid frames of the training utterances, fitted once before training, no whitening (restated: no public
/// code). Nothing is trained.
///   mean        [L * D]        fitted
///   components  [H, L * D]     fitted; see PrincipalAxes
/// Throws ConfigError if H exceeds L * D.
class Pca : public Interface {
 public:
  Pca(const PcaOptions& options, InterfaceInput input)
      : Interface(input, options.normalize),
        in_(input.layers * input.width),
        output_width_(options.output_dim == 0 ? input.width : options.output_dim) {
    if (output_width_ > in_) {
      throw ConfigError(fmt::format("not applicable: pca wants {} axes of {} layers of width {}, which have {}",
                                    output_width_, input.layers, input.width, in_));
    }
  }

  std::int64_t output_width() const override { return output_width_; }
  bool affine_per_frame() const override { return true; }
  std::vector<ParameterSpec> fitted() const override {
    return {{"mean", {in_}, Init::kZero}, {"components", {output_width_, in_}, Init::kZero}};
  }

  std::unique_ptr<InterfaceFit> begin_fit(const at::Tensor& sample) const override {
    return std::make_unique<Fit>(*this, vectors(sample).mean({0}));
  }

 protected:
  at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const override {
    return at::linear(features.flatten(2) - parameters["mean"], parameters["components"]);
  }

 private:
  class Fit : public InterfaceFit {
   public:
    Fit(const Pca& pca, at::Tensor pivot) : pca_(pca), moments_(std::move(pivot)) {}

    void add(const at::Tensor& frames) override { moments_.add(pca_.vectors(frames)); }
    at::Tensor& sums() override { return moments_.buffer(); }
    Parameters result() const override {
      const PrincipalAxes axes = moments_.principal_axes(pca_.output_width());
      Parameters fitted;
      fitted.add("mean", axes.mean);
      fitted.add("components", axes.components);
      return fitted;
    }

   private:
    const Pca& pca_;
    CovarianceSums moments_;
  };

  /// Frames [N, L, D] as the vectors that are analysed, [N, L * D] float64.
  at::Tensor vectors(const at::Tensor& frames) const {
    const at::NoGradGuard no_grad;
    return layers_as_read(frames.unsqueeze(0).to(at::kDouble), input(), normalizes())[0].flatten(1);
  }

  std::int64_t in_;
  std::int64_t output_width_;
};

STRATA_REGISTER_INTERFACE("pca", PcaOptions, Pca,
                          "V ([x[t, 0]; ..; x[t, L - 1]] - mean), V the leading principal axes of the training frames "
                          "(after arXiv:2406.12209, restated)");

}  // namespace

CovarianceSums::CovarianceSums(at::Tensor pivot)
    : pivot_(std::move(pivot)),
      buffer_(at::zeros({1 + pivot_.size(0) + pivot_.size(0) * pivot_.size(0)}, at::kDouble)) {}

void CovarianceSums::add(const at::Tensor& x) {
  const std::int64_t width = pivot_.size(0);
  const at::Tensor z = x.to(at::kDouble) - pivot_;
  buffer_.narrow(0, 0, 1).add_(static_cast<double>(z.size(0)));
  buffer_.narrow(0, 1, width).add_(z.sum(0));
  buffer_.narrow(0, 1 + width, width * width).view({width, width}).addmm_(z.t(), z);
}

PrincipalAxes CovarianceSums::principal_axes(std::int64_t axes) const {
  const std::int64_t width = pivot_.size(0);
  const double count = buffer_[0].item<double>();
  if (count < static_cast<double>(axes) + 1) {
    throw DataError(fmt::format("pca: {} axes need more than {} training frames", axes, count));
  }
  const at::Tensor mean = buffer_.narrow(0, 1, width) / count;
  const at::Tensor products = buffer_.narrow(0, 1 + width, width * width).view({width, width});
  const at::Tensor covariance = (products - at::outer(mean, mean) * count) / (count - 1);
  const auto [values, vectors] = at::linalg_eigh(covariance);  // ascending, in columns
  at::Tensor rows = vectors.t().narrow(0, width - axes, axes).flip(0);
  const at::Tensor largest = rows.gather(1, rows.abs().argmax(1, /*keepdim=*/true));
  rows = at::where(largest < 0, -rows, rows).contiguous();
  return {mean + pivot_, rows, values.narrow(0, width - axes, axes).flip(0), covariance.trace().reshape({1})};
}

}  // namespace strata

#include "tools/goldens/compare.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <limits>

namespace strata {

GoldenLine compare_tensors(const std::string& name, const at::Tensor& got, const at::Tensor& want, double allowed) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  GoldenLine line{name, kInfinite, allowed, ""};
  if (got.sizes() != want.sizes()) return line;
  const at::Tensor a = got.detach().to(at::kDouble), b = want.to(at::kDouble);
  if (!a.isnan().equal(b.isnan())) return line;
  line.error = a.numel() == 0 ? 0.0 : (a - b).abs().nan_to_num(0.0, kInfinite).max().item<double>();
  return line;
}

double peak(const at::Tensor& x) { return x.numel() == 0 ? 0.0 : x.to(at::kDouble).abs().max().item<double>(); }

GoldenLine failing_line(const std::string& name, const std::string& reason) {
  return {name, std::numeric_limits<double>::infinity(), 0.0, reason};
}

}  // namespace strata

// What LibTorch's device `meta` needs to stand in for a GPU: it has shapes and no values, so that an operation that
// only the CPU has, or one that waits for a value, fails there as it would fail, or wait, on a GPU.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

namespace strata {
namespace {

// A few operations have no shapes outside of Python. They have those that the CPU finds for zeros,
void on_zeros(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  for (c10::IValue& value : *stack) {
    if (value.isTensor() && value.toTensor().defined())
      value = at::zeros(value.toTensor().sizes(), value.toTensor().options().device(c10::kCPU));
  }
  operation.callBoxed(stack);
  for (c10::IValue& value : *stack) {
    if (value.isTensor() && value.toTensor().defined()) value = value.toTensor().to(c10::kMeta);
  }
}

/// and the convolution, of which the CPU has another, by its definition.
at::Tensor convolution_of_shapes(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>&,
                                 c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                                 bool transposed, c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  std::vector<std::int64_t> shape = {x.size(0), transposed ? weight.size(1) * groups.expect_int() : weight.size(0)};
  for (std::size_t i = 0; i < stride.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(i) + 2;
    const std::int64_t span = dilation[i].expect_int() * (weight.size(axis) - 1), pads = 2 * padding[i].expect_int();
    shape.push_back(transposed
                        ? (x.size(axis) - 1) * stride[i].expect_int() - pads + span + 1 + output_padding[i].expect_int()
                        : (x.size(axis) + pads - span - 1) / stride[i].expect_int() + 1);
  }
  return at::empty(shape, x.options());
}

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("convolution_overrideable", convolution_of_shapes);
  for (const char* name :
       {"convolution_backward", "flip", "index_select", "mse_loss_backward", "native_batch_norm", "native_group_norm",
        "native_group_norm_backward", "native_layer_norm_backward", "var.correction", "where.self", "where.self_out"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&on_zeros>());
}

}  // namespace
}  // namespace strata

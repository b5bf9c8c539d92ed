#include "core/upstreams/frame_convolution.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "core/upstreams/sample_conv.h"

namespace strata {
namespace {

/// The kernel in pieces of at most `stride` taps: the rows of a piece do not overlap each other, so that they can be
/// written to as well as read.
struct Pieces {
  std::int64_t width, kernel, stride, frames;

  template <class Visit>
  void each(const at::Tensor& x, const at::Tensor& matrix, Visit visit) const {
    for (std::int64_t tap = 0; tap < kernel; tap += stride) {
      const std::int64_t count = std::min(stride, kernel - tap) * width;
      const at::Tensor rows = x.as_strided({frames, count}, {stride * width, 1}, x.storage_offset() + tap * width);
      visit(rows, matrix.narrow(0, tap * width, count), tap == 0);
    }
  }
};

class FrameConvolution : public torch::autograd::Function<FrameConvolution> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            std::int64_t stride) {
    const Pieces pieces{weight.size(1), weight.size(2), stride, (x.size(0) - weight.size(2)) / stride + 1};
    const at::Tensor matrix = weight.permute({2, 1, 0}).reshape({-1, weight.size(0)}).contiguous();
    at::Tensor out = at::empty({pieces.frames, weight.size(0)}, x.options());
    pieces.each(x, matrix, [&](const at::Tensor& rows, const at::Tensor& part, bool first) {
      first ? at::mm_out(out, rows, part) : out.addmm_(rows, part);
    });
    context->save_for_backward({x, matrix});
    context->saved_data["stride"] = stride;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &matrix = saved[1];
    const at::Tensor gradient = gradients[0].contiguous();
    const std::int64_t width = x.size(1), kernel = matrix.size(0) / width;
    const Pieces pieces{width, kernel, context->saved_data["stride"].toInt(), gradient.size(0)};
    const at::Tensor for_matrix = at::empty(matrix.sizes(), matrix.options());
    pieces.each(x, for_matrix,
                [&](const at::Tensor& rows, at::Tensor part, bool) { at::mm_out(part, rows.t(), gradient); });
    const at::Tensor for_weight = for_matrix.view({kernel, width, -1}).permute({2, 1, 0});
    if (!context->needs_input_grad(0)) return {at::Tensor(), for_weight, at::Tensor()};
    const at::Tensor for_x = at::empty(x.sizes(), x.options());
    const std::int64_t written = pieces.frames * std::min(pieces.stride, kernel);
    if (kernel >= pieces.stride) {
      for_x.narrow(0, written, x.size(0) - written).zero_();
    } else {
      for_x.zero_();  // the rows leave gaps
    }
    pieces.each(for_x, matrix, [&](at::Tensor rows, const at::Tensor& part, bool first) {
      first ? at::mm_out(rows, gradient, part.t()) : rows.addmm_(gradient, part.t());
    });
    return {for_x, for_weight, at::Tensor()};
  }
};

class WaveConvolution : public torch::autograd::Function<WaveConvolution> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& matrix,
                            const at::Tensor& shift, std::int64_t stride) {
    const std::int64_t kernel = matrix.size(0), width = matrix.size(1), frames = (x.size(0) - kernel) / stride + 1;
    context->saved_data["stride"] = stride;
    context->saved_data["kernel"] = kernel;
    context->save_for_backward({x});
    if (x.scalar_type() != at::kFloat) return at::addmm(shift, x.unfold(0, kernel, stride).contiguous(), matrix);
    at::Tensor out = at::empty({frames, width}, x.options());
    const at::Tensor rows = matrix.contiguous(), first = shift.contiguous();
    convolve_samples(x.const_data_ptr<float>(), stride, rows.const_data_ptr<float>(), kernel,
                     first.const_data_ptr<float>(), frames, width, out.mutable_data_ptr<float>());
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0], gradient = gradients[0].contiguous();
    const std::int64_t kernel = context->saved_data["kernel"].toInt(), stride = context->saved_data["stride"].toInt();
    const at::Tensor seen = x.unfold(0, kernel, stride).contiguous();
    return {at::Tensor(), seen.t().mm(gradient), gradient.sum(0), at::Tensor()};
  }
};

}  // namespace

at::Tensor convolve_wave(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& shift, std::int64_t stride) {
  return WaveConvolution::apply(x, matrix, shift, stride);
}

at::Tensor convolve_frames(const at::Tensor& x, const at::Tensor& weight, std::int64_t stride) {
  return FrameConvolution::apply(x, weight, stride);
}

}  // namespace strata

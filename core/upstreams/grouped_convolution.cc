#include "core/upstreams/grouped_convolution.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace strata {
namespace {

constexpr std::int64_t kBlockRows = 256;        // of a product: what they see takes 6 MB in a base model
constexpr std::int64_t kColumnsOfProduct = 48;  // at least, where gradients are wanted

}  // namespace

GroupedWeight::GroupedWeight(const at::Tensor& weight, std::int64_t groups, std::int64_t frames)
    : groups_(groups), frames_(frames), kernel_(weight.size(2)), width_(weight.size(1)) {
  const at::Tensor taps = weight.reshape({groups_, width_, width_, kernel_}).permute({0, 3, 2, 1});  // [g, K, in, out]
  const at::Tensor all = at::zeros({groups_, kernel_ + frames_ - 1, width_, frames_, width_}, weight.options());
  for (std::int64_t frame = 0; frame < frames_; ++frame) all.narrow(1, frame, kernel_).select(3, frame).copy_(taps);
  matrices_ = all.view({groups_, (kernel_ + frames_ - 1) * width_, frames_ * width_});
}

at::Tensor GroupedWeight::grouped(const at::Tensor& x, std::int64_t before, std::int64_t rows) const {
  const at::Tensor padded = at::constant_pad_nd(x, {0, 0, before, rows - before - x.size(0)});
  return padded.view({rows, groups_, width_}).transpose(0, 1).contiguous();
}

at::Tensor GroupedWeight::convolve(const at::Tensor& x, std::int64_t before) const {
  const std::int64_t count_all = (x.size(0) + frames_ - 1) / frames_, seen_rows = kernel_ + frames_ - 1;
  const at::Tensor by_group = grouped(x, before, frames_ * count_all + kernel_ - 1);
  const at::Tensor out = at::empty({count_all, frames_, groups_, width_}, x.options());
  for (std::int64_t first = 0; first < count_all; first += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, count_all - first);
    for (std::int64_t g = 0; g < groups_; ++g) {
      // Row m is what frames m F .. m F + F - 1 see: the K + F - 1 rows from m F on, which lie behind each other.
      const at::Tensor seen = by_group[g]
                                  .narrow(0, frames_ * first, frames_ * count + kernel_ - 1)
                                  .as_strided({count, seen_rows * width_}, {frames_ * width_, 1})
                                  .contiguous();
      out.narrow(0, first, count).select(2, g).copy_(seen.mm(matrices_[g]).view({count, frames_, width_}));
    }
  }
  return out.view({frames_ * count_all, x.size(1)}).narrow(0, 0, x.size(0));
}

at::Tensor GroupedWeight::weight_gradient(const at::Tensor& x, const at::Tensor& gradient, std::int64_t before) const {
  const std::int64_t count = (x.size(0) + frames_ - 1) / frames_, seen_rows = kernel_ + frames_ - 1;
  const at::Tensor by_group = grouped(x, before, frames_ * count + kernel_ - 1);
  const at::Tensor wanted = grouped(gradient, 0, frames_ * count);                    // [groups, F count, D / groups]
  const at::Tensor out = at::empty({groups_, width_, kernel_, width_}, x.options());  // [g, out, K, in]
  for (std::int64_t g = 0; g < groups_; ++g) {
    const at::Tensor seen = by_group[g].as_strided({count, seen_rows * width_}, {frames_ * width_, 1}).contiguous();
    const at::Tensor product = wanted[g]
                                   .view({count, frames_ * width_})
                                   .t()
                                   .mm(seen)
                                   .view({frames_, width_, seen_rows, width_});  // [F, out, K + F - 1, in]
    const at::Tensor sum = out[g];
    sum.copy_(product[0].narrow(1, 0, kernel_));
    for (std::int64_t frame = 1; frame < frames_; ++frame) sum.add_(product[frame].narrow(1, frame, kernel_));
  }
  return out.transpose(2, 3).reshape({groups_ * width_, width_, kernel_});
}

/// The weight laid out for both directions, shared by all graphs made with it. The input's gradient is a convolution
/// too, of the output's gradient with the transposed weight turned round.
struct GroupedConvolution::Layouts {
  Layouts(const at::Tensor& weight, std::int64_t groups, std::int64_t before)
      : before(before),
        before_turned(weight.size(2) - 1 - before),
        forward(weight, groups, frames_at_once(weight)),
        backward(turned(weight, groups), groups, frames_at_once(weight)) {}

  static std::int64_t frames_at_once(const at::Tensor& weight) {
    return (kColumnsOfProduct + weight.size(1) - 1) / weight.size(1);
  }
  static at::Tensor turned(const at::Tensor& weight, std::int64_t groups) {
    const std::int64_t width = weight.size(1), kernel = weight.size(2);
    return weight.reshape({groups, width, width, kernel}).transpose(1, 2).flip(3).reshape({-1, width, kernel});
  }

  std::int64_t before, before_turned;
  GroupedWeight forward, backward;
};

class GroupedConvolution::Function : public torch::autograd::Function<GroupedConvolution::Function> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& /*weight*/, const std::shared_ptr<const Layouts>& layouts) {
    context->save_for_backward({x});
    context->saved_data["layouts"] = c10::IValue::make_capsule(c10::make_intrusive<Saved>(layouts));
    return layouts->forward.convolve(x, layouts->before).clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0], gradient = gradients[0].contiguous();
    const auto saved = c10::static_intrusive_pointer_cast<Saved>(context->saved_data["layouts"].toCapsule());
    const Layouts& own = *saved->layouts;
    return {own.backward.convolve(gradient, own.before_turned), own.forward.weight_gradient(x, gradient, own.before),
            at::Tensor()};
  }

 private:
  struct Saved : torch::CustomClassHolder {
    explicit Saved(std::shared_ptr<const Layouts> layouts) : layouts(std::move(layouts)) {}
    std::shared_ptr<const Layouts> layouts;
  };
};

GroupedConvolution::GroupedConvolution(const at::Tensor& weight, std::int64_t groups, std::int64_t before)
    : weight_(weight) {
  const c10::NoGradGuard values;
  layouts_ = std::make_shared<const Layouts>(weight, groups, before);
}

at::Tensor GroupedConvolution::operator()(const at::Tensor& x) const { return Function::apply(x, weight_, layouts_); }

}  // namespace strata

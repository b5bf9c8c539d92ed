#include "core/upstreams/paired_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>

namespace strata {
namespace {

constexpr std::int64_t kLanes = 16;
using Vector [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] = float;

/// Of each four rows, the first becomes itself less the third, the third the one after the four less itself.
///   x  [4 pairs + 1, width]
void take_differences(float* x, std::int64_t pairs, std::int64_t width) {
  for (std::int64_t pair = 0; pair < pairs; ++pair, x += 4 * width) {
    float* middle = x + 2 * width;
    const float* next = x + 4 * width;
    std::int64_t c = 0;
    for (; c + kLanes <= width; c += kLanes) {
      const Vector kept = *reinterpret_cast<const Vector*>(middle + c);
      *reinterpret_cast<Vector*>(middle + c) = *reinterpret_cast<const Vector*>(next + c) - kept;
      *reinterpret_cast<Vector*>(x + c) -= kept;
    }
    for (; c < width; ++c) {
      const float kept = middle[c];
      middle[c] = next[c] - kept;
      x[c] -= kept;
    }
  }
}

}  // namespace

std::optional<PairedConv> PairedConv::pack(const at::Tensor& weight, std::int64_t stride,
                                           const PackedProduct& first_taps) {
  if (weight.size(2) != 3 || stride != 2 || weight.scalar_type() != at::kFloat) return std::nullopt;
  const at::Tensor exact = weight.to(at::kDouble);
  auto common = PackedProduct::pack((exact.select(2, 0) + exact.select(2, 2)).to(at::kFloat));
  auto second = PackedProduct::pack(at::cat({weight.select(2, 2), weight.select(2, 1)}, 1));
  if (!common || !second) return std::nullopt;
  return PairedConv(*std::move(common), first_taps, *std::move(second));
}

void PairedConv::consume(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& out) const {
  const std::int64_t width = x.size(1), pairs = out.size(0) / 2;
  const at::Tensor outputs = out.view({pairs, 2, out.size(1)});
  const at::Tensor even = outputs.select(1, 0), odd = outputs.select(1, 1);
  // Two rows of the input side by side: e[n], o[n] and e[n + 1], o[n + 1].
  const at::Tensor inputs = x.narrow(0, 0, 4 * pairs).view({pairs, 2, 2 * width});
  const at::Tensor middle = inputs.select(1, 1).narrow(1, 0, width);
  if (shift.defined()) {
    even.copy_(shift.expand_as(even));
    common_.add_to(even, middle);
  } else {
    common_.write(even, middle);
  }
  odd.copy_(even);
  take_differences(x.mutable_data_ptr<float>(), pairs, width);
  first_.add_to(even, inputs.select(1, 0));
  second_.add_to(odd, inputs.select(1, 1));
}

}  // namespace strata

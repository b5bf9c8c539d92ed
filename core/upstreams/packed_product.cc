#include "core/upstreams/packed_product.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <utility>

namespace strata {
namespace {

constexpr std::int64_t kFewestWeights = 64 * 64;  // below, the call takes longer than the product
constexpr std::int64_t kFillFrom = 96;            // rows: padded to a block from here on, ordinary below

using Pack = at::Tensor(const at::Tensor&, std::int64_t);
using Multiply = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            std::int64_t);

// LibTorch has both for its own compiler only, so they have no headers.
template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find(const char* name) {
  const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!found) return std::nullopt;
  return found->typed<Signature>();
}

}  // namespace

PackedProduct::PackedProduct(at::Tensor packed, at::Tensor weight, at::Tensor bias)
    : packed_(std::move(packed)), weight_(std::move(weight)), bias_(std::move(bias)) {}

std::optional<PackedProduct> PackedProduct::pack(const at::Tensor& weight, const at::Tensor& bias) {
  static const auto pack_weight = find<Pack>("mkl::_mkl_reorder_linear_weight");
  if (!pack_weight || weight.scalar_type() != at::kFloat || weight.numel() < kFewestWeights) return std::nullopt;
  return PackedProduct(pack_weight->call(weight.contiguous(), kRows), weight, bias);
}

at::Tensor PackedProduct::block(const at::Tensor& x) const {
  static const auto multiply = find<Multiply>("mkl::_mkl_linear");
  return multiply->call(x, packed_, weight_, bias_, kRows);
}

at::Tensor PackedProduct::operator()(const at::Tensor& x) const {
  const std::int64_t rows = x.size(0);
  if (rows == kRows) return block(x);
  const at::Tensor out = at::empty({rows, weight_.size(0)}, x.options());
  for (std::int64_t first = 0; first < rows; first += kRows) {
    const std::int64_t count = std::min(kRows, rows - first);
    const at::Tensor part = x.narrow(0, first, count);
    out.narrow(0, first, count)
        .copy_(count == kRows       ? block(part)
               : count >= kFillFrom ? block(at::constant_pad_nd(part, {0, 0, 0, kRows - count})).narrow(0, 0, count)
                                    : at::linear(part, weight_, bias_));
  }
  return out;
}

}  // namespace strata

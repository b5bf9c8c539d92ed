#include "core/upstreams/packed_product.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

// MKL is inside LibTorch, without its headers; weak, since LibTorch can be built without it.
extern "C" {
[[gnu::weak]] std::size_t cblas_sgemm_pack_get_size(int identifier, int m, int n, int k);
[[gnu::weak]] void cblas_sgemm_pack(int layout, int identifier, int transposed, int m, int n, int k, float alpha,
                                    const float* source, int source_step, float* packed);
[[gnu::weak]] void cblas_sgemm_compute(int layout, int a_form, int b_form, int m, int n, int k, const float* a,
                                       int a_step, const float* b, int b_step, float beta, float* c, int c_step);
}

namespace strata {
namespace {

constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112, kPacked = 151, kRightFactor = 162;  // mkl_cblas.h
constexpr std::int64_t kFewestWeights = 64 * 64;  // below, the call takes longer than the product
// What packing is told of the rows. MKL chooses its blocks by it; they serve any number of rows as they are.
constexpr int kTypicalRows = 192;

bool is_rows(const at::Tensor& t, std::int64_t columns) {
  return t.dim() == 2 && t.size(1) == columns && t.scalar_type() == at::kFloat && t.stride(1) == 1 &&
         (t.size(0) <= 1 || t.stride(0) >= columns);
}

// oneDNN's, which LibTorch has for its own compiler only, so that they have no headers.
using Pack = at::Tensor(const at::Tensor&, std::optional<std::int64_t>);
using Multiply = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
constexpr const char* kPack = "mkldnn::_reorder_linear_weight";
constexpr const char* kMultiply = "mkldnn::_linear_pointwise";

template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find(const char* name) {
  const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!found) return std::nullopt;
  return found->typed<Signature>();
}

bool has_instructions(at::ScalarType arithmetic) {
#if defined(__x86_64__)
  return arithmetic == at::kBFloat16 ? __builtin_cpu_supports("avx512bf16") : __builtin_cpu_supports("avx512fp16");
#else
  return false;
#endif
}

int step_of(const at::Tensor& rows) { return static_cast<int>(rows.size(0) > 1 ? rows.stride(0) : rows.size(1)); }

}  // namespace

PackedProduct::PackedProduct(at::Tensor packed, std::int64_t in, std::int64_t out, at::ScalarType arithmetic)
    : packed_(std::move(packed)), in_(in), out_(out), arithmetic_(arithmetic) {}

std::string PackedProduct::refusal(at::ScalarType arithmetic) {
  if (arithmetic == at::kFloat) return "";
  const char* name = arithmetic == at::kBFloat16 ? "bfloat16" : "float16";
  if (!has_instructions(arithmetic)) return fmt::format("this CPU has no instructions for {}", name);
  if (!find<Pack>(kPack) || !find<Multiply>(kMultiply)) return fmt::format("this LibTorch has no oneDNN for {}", name);
  return "";
}

std::optional<PackedProduct> PackedProduct::pack(const at::Tensor& weight, at::ScalarType arithmetic) {
  if (weight.scalar_type() != at::kFloat || weight.numel() < kFewestWeights) return std::nullopt;
  const at::Tensor plain = weight.contiguous();
  if (arithmetic != at::kFloat) {
    static const auto pack_weight = find<Pack>(kPack);
    const at::Tensor packed = pack_weight->call(plain.to(arithmetic), kTypicalRows);
    return PackedProduct(packed, plain.size(1), plain.size(0), arithmetic);
  }
  if (!cblas_sgemm_compute) return std::nullopt;
  const auto in = static_cast<int>(plain.size(1)), out = static_cast<int>(plain.size(0));
  const std::size_t bytes = cblas_sgemm_pack_get_size(kRightFactor, kTypicalRows, out, in);
  const at::Tensor packed = at::empty({static_cast<std::int64_t>(bytes / sizeof(float)) + 1}, plain.options());
  cblas_sgemm_pack(kRowMajor, kRightFactor, kTransposed, kTypicalRows, out, in, 1.0F, plain.const_data_ptr<float>(), in,
                   packed.mutable_data_ptr<float>());
  return PackedProduct(packed, in, out, arithmetic);
}

void PackedProduct::multiply(const at::Tensor& out, const at::Tensor& x, float kept) const {
  if (!is_rows(x, in_) || !is_rows(out, out_) || out.size(0) != x.size(0)) {
    throw InternalError("a packed product of tensors that are no rows of float32");
  }
  if (x.size(0) == 0) return;
  if (arithmetic_ != at::kFloat) {
    static const auto product = find<Multiply>(kMultiply);
    const at::Tensor y = product->call(x.to(arithmetic_).contiguous(), packed_, std::nullopt, "none",
                                       c10::List<std::optional<at::Scalar>>(), "");
    kept == 0 ? out.copy_(y) : out.add_(y);
    return;
  }
  cblas_sgemm_compute(kRowMajor, kPlain, kPacked, static_cast<int>(x.size(0)), static_cast<int>(out_),
                      static_cast<int>(in_), x.const_data_ptr<float>(), step_of(x), packed_.const_data_ptr<float>(),
                      static_cast<int>(in_), kept, out.mutable_data_ptr<float>(), step_of(out));
}

}  // namespace strata

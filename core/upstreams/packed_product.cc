#include "core/upstreams/packed_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>

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

// Blocks of a product by panels: rows and inputs whose part of x stays in the second cache while the panels go by. For
// each number of rows below kRows oneDNN makes a kernel at its first use, in 0.1 ms, of 4 kB.
constexpr std::int64_t kColumns = 64, kRows = 192, kDepth = 1024;

bool is_rows(const at::Tensor& t, std::int64_t columns) {
  return t.dim() == 2 && t.size(1) == columns && t.scalar_type() == at::kFloat && t.stride(1) == 1 &&
         (t.size(0) <= 1 || t.stride(0) >= columns);
}

std::int64_t step_of(const at::Tensor& rows) { return rows.size(0) > 1 ? rows.stride(0) : rows.size(1); }

/// Of [out, in]: [panels, in, kColumns], zeros behind the last column. Inputs of 16 bits are multiplied two at a time:
/// of them zeros make an even number, and each two lie side by side, [panels, in / 2, kColumns, 2].
at::Tensor pack_panels(const at::Tensor& weight, at::ScalarType arithmetic) {
  const std::int64_t panels = (weight.size(0) + kColumns - 1) / kColumns;
  const std::int64_t more_inputs = arithmetic == at::kFloat ? 0 : weight.size(1) % 2;
  const at::Tensor whole =
      at::constant_pad_nd(weight.to(arithmetic), {0, more_inputs, 0, panels * kColumns - weight.size(0)});
  const at::Tensor by_panel = whole.view({panels, kColumns, whole.size(1)});
  if (arithmetic == at::kFloat) return by_panel.transpose(1, 2).contiguous();
  return by_panel.view({panels, kColumns, -1, 2}).permute({0, 2, 1, 3}).contiguous().view({panels, -1, kColumns});
}

/// out += x W^T, or out = x W^T unless `add`.
///   x       [rows, inputs] of the panels' type, of stride 1 in its rows
///   panels  [panels, inputs, kColumns] (`pack_panels`)
///   out     [rows, columns] float32
template <class T>
void multiply_panels(const at::Tensor& x, const at::Tensor& panels, bool add, const at::Tensor& out) {
  const std::int64_t rows = x.size(0), inputs = x.size(1), columns = out.size(1), x_step = step_of(x),
                     out_step = step_of(out);
  const std::int64_t parts = (inputs + kDepth - 1) / kDepth, depth = ((inputs + parts - 1) / parts + 1) / 2 * 2;
  const T* weight = panels.const_data_ptr<T>();
  for (std::int64_t row = 0; row < rows; row += kRows) {
    for (std::int64_t k = 0; k < inputs; k += depth) {
      const T* factor = x.const_data_ptr<T>() + row * x_step + k;
      for (std::int64_t column = 0; column < columns; column += kColumns) {
        at::native::cpublas::brgemm(std::min(kRows, rows - row), std::min(kColumns, columns - column),
                                    std::min(depth, inputs - k), x_step, kColumns, out_step, add || k > 0, factor,
                                    weight + column * inputs + k * kColumns,
                                    out.mutable_data_ptr<float>() + row * out_step + column, sizeof(T) == 2);
      }
    }
  }
}

void multiply_panels(const at::Tensor& x, const at::Tensor& panels, bool add, const at::Tensor& out) {
  if (panels.scalar_type() == at::kFloat) return multiply_panels<float>(x, panels, add, out);
  const std::int64_t padding = panels.size(1) - x.size(1);
  const at::Tensor rounded = x.to(panels.scalar_type()).contiguous();
  const at::Tensor even = padding ? at::constant_pad_nd(rounded, {0, padding}) : rounded;
  if (panels.scalar_type() == at::kBFloat16) {
    multiply_panels<at::BFloat16>(even, panels, add, out);
  } else {
    multiply_panels<at::Half>(even, panels, add, out);
  }
  at::native::cpublas::brgemm_release();  // of the CPU's tiles, where 16 bits are multiplied in them
}

bool has_instructions(at::ScalarType arithmetic) {
#if defined(__x86_64__)
  if (arithmetic == at::kFloat) return __builtin_cpu_supports("avx512f");
  return arithmetic == at::kBFloat16 ? __builtin_cpu_supports("avx512bf16") : __builtin_cpu_supports("avx512fp16");
#else
  return false;
#endif
}

/// Whether LibTorch can multiply panels here: tried once, with integers that 16 bits hold.
bool can_multiply_panels(at::ScalarType arithmetic) {
  if (!has_instructions(arithmetic)) return false;
  const at::Tensor x = at::arange(0, 18, at::kFloat).view({2, 9}), weight = at::arange(0, 27, at::kFloat).view({3, 9});
  const at::Tensor out = at::zeros({2, 3}, at::kFloat);
  try {
    multiply_panels(x, pack_panels(weight, arithmetic), false, out);
  } catch (const c10::Error&) {  // built without oneDNN, or it is turned off
    return false;
  }
  return at::equal(out, x.mm(weight.t()));
}

// MKL has its fastest kernels for Intel's CPUs: on a Zen 4 it took those of AVX2.
bool mkl_is_faster() {
#if defined(__x86_64__)
  return cblas_sgemm_compute && __builtin_cpu_is("intel");
#else
  return false;
#endif
}

bool takes_panels(at::ScalarType arithmetic, ProductLibrary library) {
  if (arithmetic != at::kFloat) return true;
  static const bool here = can_multiply_panels(at::kFloat);
  return here && (library == ProductLibrary::kOneDnn || (library == ProductLibrary::kFastest && !mkl_is_faster()));
}

}  // namespace

std::string PackedProduct::refusal(at::ScalarType arithmetic) {
  if (arithmetic == at::kFloat) return "";
  const char* name = arithmetic == at::kBFloat16 ? "bfloat16" : "float16";
  if (!has_instructions(arithmetic)) return fmt::format("this CPU has no instructions for {}", name);
  if (!can_multiply_panels(arithmetic)) return fmt::format("this LibTorch cannot multiply in {}", name);
  return "";
}

std::optional<PackedProduct> PackedProduct::pack(const at::Tensor& weight, at::ScalarType arithmetic,
                                                 ProductLibrary library) {
  if (weight.scalar_type() != at::kFloat || weight.numel() < kFewestWeights) return std::nullopt;
  if (takes_panels(arithmetic, library)) {
    return PackedProduct(pack_panels(weight, arithmetic), weight.size(1), weight.size(0));
  }
  if (!cblas_sgemm_compute || library == ProductLibrary::kOneDnn) return std::nullopt;
  const at::Tensor plain = weight.contiguous();
  const auto in = static_cast<int>(plain.size(1)), out = static_cast<int>(plain.size(0));
  const std::size_t bytes = cblas_sgemm_pack_get_size(kRightFactor, kTypicalRows, out, in);
  const at::Tensor packed = at::empty({static_cast<std::int64_t>(bytes / sizeof(float)) + 1}, plain.options());
  cblas_sgemm_pack(kRowMajor, kRightFactor, kTransposed, kTypicalRows, out, in, 1.0F, plain.const_data_ptr<float>(), in,
                   packed.mutable_data_ptr<float>());
  return PackedProduct(packed, in, out);
}

void PackedProduct::multiply(const at::Tensor& out, const at::Tensor& x, bool add) const {
  if (!is_rows(x, in_) || !is_rows(out, out_) || out.size(0) != x.size(0)) {
    throw InternalError("a packed product of tensors that are no rows of float32");
  }
  if (x.size(0) == 0) return;
  if (packed_.dim() == 3) return multiply_panels(x, packed_, add, out);
  cblas_sgemm_compute(kRowMajor, kPlain, kPacked, static_cast<int>(x.size(0)), static_cast<int>(out_),
                      static_cast<int>(in_), x.const_data_ptr<float>(), static_cast<int>(step_of(x)),
                      packed_.const_data_ptr<float>(), static_cast<int>(in_), add ? 1.0F : 0.0F,
                      out.mutable_data_ptr<float>(), static_cast<int>(step_of(out)));
}

}  // namespace strata

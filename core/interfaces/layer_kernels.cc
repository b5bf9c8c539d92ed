#include "core/interfaces/layer_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define STRATA_AVX2 __attribute__((target("avx2,fma,f16c")))
#endif

namespace strata {
namespace {

#if defined(__x86_64__)

constexpr std::int64_t kLanes = 8;

STRATA_AVX2 inline __m256 load(const float* x) { return _mm256_loadu_ps(x); }
STRATA_AVX2 inline __m256 load(const at::Half* x) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}
STRATA_AVX2 inline __m256 load(const at::BFloat16* x) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/// Asks for the rows that come after these `layers`, as read from the same place on: rows are too short for the
/// processor to see where reading goes on, and 16-bit ones then come at 12 instead of 20 GB/s.
template <int layers, class T>
inline void prefetch_next(const T* x, std::int64_t width) {
  if (reinterpret_cast<std::uintptr_t>(x) % 64 >= kLanes * sizeof(T)) return;  // once a cache line
  for (int l = 0; l < layers; ++l) __builtin_prefetch(x + (layers + l) * width);
}

STRATA_AVX2 inline float total(__m256 x) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// GCC at -O2 keeps small arrays in memory unless the loops over them are unrolled.

/// y[d] (+)= sum_l w[l] x[l, d] of `layers` layers; `first`: y is not read.
template <int layers, class T>
STRATA_AVX2 void add_layers(const T* x, const float* w, bool first, float* y, std::int64_t width) {
  __m256 weights[layers];
#pragma GCC unroll 4
  for (int l = 0; l < layers; ++l) weights[l] = _mm256_set1_ps(w[l]);
  std::int64_t d = 0;
  for (; d + kLanes <= width; d += kLanes) {
    prefetch_next<layers>(x + d, width);
    __m256 sum = first ? _mm256_setzero_ps() : _mm256_loadu_ps(y + d);
#pragma GCC unroll 4
    for (int l = 0; l < layers; ++l) sum = _mm256_fmadd_ps(weights[l], load(x + l * width + d), sum);
    _mm256_storeu_ps(y + d, sum);
  }
  for (; d < width; ++d) {
    float sum = first ? 0.0f : y[d];
    for (int l = 0; l < layers; ++l) sum += w[l] * static_cast<float>(x[l * width + d]);
    y[d] = sum;
  }
}

/// sums[l] += sum_d g[d] x[l, d] of `layers` layers.
template <int layers, class T>
STRATA_AVX2 void add_products(const float* g, const T* x, std::int64_t width, double* sums) {
  __m256 products[layers][2];
#pragma GCC unroll 4
  for (int l = 0; l < layers; ++l) products[l][0] = products[l][1] = _mm256_setzero_ps();
  std::int64_t d = 0;
  for (; d + 2 * kLanes <= width; d += 2 * kLanes) {
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) {
      prefetch_next<layers>(x + d + half * kLanes, width);
      const __m256 gradient = _mm256_loadu_ps(g + d + half * kLanes);
#pragma GCC unroll 4
      for (int l = 0; l < layers; ++l) {
        products[l][half] = _mm256_fmadd_ps(gradient, load(x + l * width + d + half * kLanes), products[l][half]);
      }
    }
  }
#pragma GCC unroll 4
  for (int l = 0; l < layers; ++l) {
    float sum = total(_mm256_add_ps(products[l][0], products[l][1]));
    for (std::int64_t rest = d; rest < width; ++rest) sum += g[rest] * static_cast<float>(x[l * width + rest]);
    sums[l] += sum;
  }
}

bool cpu_has_kernels() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  return has;
}

#else

template <int layers, class T>
void add_layers(const T*, const float*, bool, float*, std::int64_t) {}

template <int layers, class T>
void add_products(const float*, const T*, std::int64_t, double*) {}

bool cpu_has_kernels() { return false; }

#endif

/// Layers that are read side by side: fewer would reread y or g more often, more would need more registers.
constexpr std::int64_t kGroup = 4;

/// Calls `f` with 1 .. kGroup as a constant.
template <class F>
void with_constant(std::int64_t count, F f) {
  if (count == 1) return f(std::integral_constant<int, 1>());
  if (count == 2) return f(std::integral_constant<int, 2>());
  if (count == 3) return f(std::integral_constant<int, 3>());
  f(std::integral_constant<int, kGroup>());
}

/// Values from one frame to the next, if frames [L, D] are contiguous and lie at equal distances; -1 otherwise.
std::int64_t frame_stride(const at::Tensor& x) {
  const std::int64_t layers = x.size(-2), width = x.size(-1);
  if (x.dim() < 3 || x.stride(-1) != 1 || x.stride(-2) != width) return -1;
  for (std::int64_t i = x.dim() - 3; i > 0; --i) {
    if (x.stride(i - 1) != x.stride(i) * x.size(i)) return -1;
  }
  return x.stride(-3) >= layers * width ? x.stride(-3) : -1;
}

/// Calls `f` with a pointer to the features in their type.
template <class F>
void visit(const at::Tensor& x, F f) {
  if (x.scalar_type() == at::kFloat) return f(x.const_data_ptr<float>());
  if (x.scalar_type() == at::kHalf) return f(x.const_data_ptr<at::Half>());
  if (x.scalar_type() == at::kBFloat16) return f(x.const_data_ptr<at::BFloat16>());
  throw InternalError("sums over layers of a type that has no kernel");
}

/// Frames that a thread takes at least: below, starting it costs more than it does.
constexpr std::int64_t kGrain = 64;

}  // namespace

bool has_layer_kernels(const at::Tensor& features) {
  const at::ScalarType type = features.scalar_type();
  return features.device().is_cpu() && frame_stride(features) > 0 && cpu_has_kernels() &&
         (type == at::kFloat || type == at::kHalf || type == at::kBFloat16);
}

at::Tensor sum_layers(const at::Tensor& x, const at::Tensor& weights) {
  const std::int64_t layers = x.size(-2), width = x.size(-1), frames = x.numel() / (layers * width), stride = frame_stride(x);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.erase(shape.end() - 2);
  at::Tensor y = at::empty(shape, at::kFloat);
  const float* w = weights.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  visit(x, [&](const auto* in) {
    at::parallel_for(0, frames, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        for (std::int64_t l = 0; l < layers; l += kGroup) {
          with_constant(std::min(kGroup, layers - l), [&](auto count) {
            add_layers<count>(in + n * stride + l * width, w + l, l == 0, out + n * width, width);
          });
        }
      }
    });
  });
  return y;
}

at::Tensor layer_products(const at::Tensor& g, const at::Tensor& x) {
  const std::int64_t layers = x.size(-2), width = x.size(-1), frames = x.numel() / (layers * width), stride = frame_stride(x);
  const float* gradient = g.const_data_ptr<float>();
  // Blocks of fixed size, added in order: the sum does not depend on the number of threads.
  constexpr std::int64_t kBlock = 256;
  const std::int64_t blocks = (frames + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<std::size_t>(blocks * layers), 0.0);
  visit(x, [&](const auto* in) {
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin * kBlock; n < std::min(end * kBlock, frames); ++n) {
        double* own = sums.data() + n / kBlock * layers;
        for (std::int64_t l = 0; l < layers; l += kGroup) {
          with_constant(std::min(kGroup, layers - l), [&](auto count) {
            add_products<count>(gradient + n * width, in + n * stride + l * width, width, own + l);
          });
        }
      }
    });
  });
  at::Tensor products = at::empty({layers}, at::kFloat);
  for (std::int64_t l = 0; l < layers; ++l) {
    double sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) sum += sums[static_cast<std::size_t>(b * layers + l)];
    products.mutable_data_ptr<float>()[l] = static_cast<float>(sum);
  }
  return products;
}

}  // namespace strata

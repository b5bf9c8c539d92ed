#include "core/interfaces/layer_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
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

/// y[d] (+)= weight * x[d]
template <bool first, class T>
STRATA_AVX2 void add_layer(const T* x, float weight, float* y, std::int64_t width) {
  const __m256 w = _mm256_set1_ps(weight);
  std::int64_t d = 0;
  for (; d + kLanes <= width; d += kLanes) {
    const __m256 product = _mm256_mul_ps(w, load(x + d));
    _mm256_storeu_ps(y + d, first ? product : _mm256_add_ps(_mm256_loadu_ps(y + d), product));
  }
  for (; d < width; ++d) y[d] = (first ? 0.0f : y[d]) + weight * static_cast<float>(x[d]);
}

template <class T>
STRATA_AVX2 float dot(const float* g, const T* x, std::int64_t width) {
  __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  std::int64_t d = 0;
  for (; d + 4 * kLanes <= width; d += 4 * kLanes) {
    for (int i = 0; i < 4; ++i) {
      sums[i] = _mm256_fmadd_ps(_mm256_loadu_ps(g + d + i * kLanes), load(x + d + i * kLanes), sums[i]);
    }
  }
  alignas(32) float lanes[kLanes];
  _mm256_store_ps(lanes, _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; d < width; ++d) sum += g[d] * static_cast<float>(x[d]);
  return sum;
}

bool cpu_has_kernels() {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  return has;
}

#else

template <bool first, class T>
void add_layer(const T* x, float weight, float* y, std::int64_t width) {
  for (std::int64_t d = 0; d < width; ++d) y[d] = (first ? 0.0f : y[d]) + weight * static_cast<float>(x[d]);
}

template <class T>
float dot(const float* g, const T* x, std::int64_t width) {
  float sum = 0;
  for (std::int64_t d = 0; d < width; ++d) sum += g[d] * static_cast<float>(x[d]);
  return sum;
}

bool cpu_has_kernels() { return false; }

#endif

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
  return features.device().is_cpu() && features.is_contiguous() && cpu_has_kernels() &&
         (type == at::kFloat || type == at::kHalf || type == at::kBFloat16);
}

at::Tensor sum_layers(const at::Tensor& x, const at::Tensor& weights) {
  const std::int64_t layers = x.size(-2), width = x.size(-1), frames = x.numel() / (layers * width);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.erase(shape.end() - 2);
  at::Tensor y = at::empty(shape, at::kFloat);
  const float* w = weights.const_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  visit(x, [&](const auto* in) {
    at::parallel_for(0, frames, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin; n < end; ++n) {
        const auto* frame = in + n * layers * width;
        add_layer<true>(frame, w[0], out + n * width, width);
        for (std::int64_t l = 1; l < layers; ++l) add_layer<false>(frame + l * width, w[l], out + n * width, width);
      }
    });
  });
  return y;
}

at::Tensor layer_products(const at::Tensor& g, const at::Tensor& x) {
  const std::int64_t layers = x.size(-2), width = x.size(-1), frames = x.numel() / (layers * width);
  const float* gradient = g.const_data_ptr<float>();
  // Blocks of fixed size, added in order: the sum does not depend on the number of threads.
  constexpr std::int64_t kBlock = 256;
  const std::int64_t blocks = (frames + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<std::size_t>(blocks * layers), 0.0);
  visit(x, [&](const auto* in) {
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t n = begin * kBlock; n < std::min(end * kBlock, frames); ++n) {
        double* own = sums.data() + n / kBlock * layers;
        for (std::int64_t l = 0; l < layers; ++l)
          own[l] += dot(gradient + n * width, in + (n * layers + l) * width, width);
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

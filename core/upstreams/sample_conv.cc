#include "core/upstreams/sample_conv.h"

#if defined(__x86_64__)
#define STRATA_FOR_EACH_CPU [[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define STRATA_FOR_EACH_CPU
#endif

namespace strata {
namespace {

constexpr std::int64_t kLanes = 16, kVectors = 4, kBlock = kLanes * kVectors;  // channels in registers at a time
using Vector [[gnu::vector_size(kLanes * sizeof(float)), gnu::aligned(alignof(float)), gnu::may_alias]] = float;

}  // namespace

STRATA_FOR_EACH_CPU
void convolve_samples(const float* x, std::int64_t stride, const float* w, std::int64_t kernel, const float* shift,
                      std::int64_t rows, std::int64_t width, float* out) {
  std::int64_t first = 0;
  for (; first + kBlock <= width; first += kBlock) {
    for (std::int64_t t = 0; t < rows; ++t) {
      Vector sum[kVectors] = {};
      if (shift != nullptr) {
#pragma GCC unroll 4
        for (std::int64_t v = 0; v < kVectors; ++v)
          sum[v] = *reinterpret_cast<const Vector*>(shift + first + v * kLanes);
      }
      for (std::int64_t k = 0; k < kernel; ++k) {
        const float sample = x[t * stride + k];
        const float* taps = w + k * width + first;
#pragma GCC unroll 4
        for (std::int64_t v = 0; v < kVectors; ++v)
          sum[v] += sample * *reinterpret_cast<const Vector*>(taps + v * kLanes);
      }
#pragma GCC unroll 4
      for (std::int64_t v = 0; v < kVectors; ++v)
        *reinterpret_cast<Vector*>(out + t * width + first + v * kLanes) = sum[v];
    }
  }
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t c = first; c < width; ++c) {
      float sum = shift != nullptr ? shift[c] : 0.0F;
      for (std::int64_t k = 0; k < kernel; ++k) sum += x[t * stride + k] * w[k * width + c];
      out[t * width + c] = sum;
    }
  }
}

}  // namespace strata

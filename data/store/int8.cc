#include "data/store/int8.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace strata {
namespace {

void widen_frame(const std::int8_t* values, float scale, std::int64_t from, std::int64_t columns, float* out) {
  for (std::int64_t d = from; d < columns; ++d) out[d] = scale * static_cast<float>(values[d]);
}

#if defined(__x86_64__)
// LibTorch converts int8 element by element: 0.9 GB/s of float32 where this writes 7 (one core, 500 frames of 768).
__attribute__((target("avx2"))) void widen_frame_avx2(const std::int8_t* values, float scale, std::int64_t columns,
                                                      float* out) {
  constexpr std::int64_t kLanes = 8;
  const __m256 factor = _mm256_set1_ps(scale);
  std::int64_t d = 0;
  for (; d + kLanes <= columns; d += kLanes) {
    const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(values + d)));
    _mm256_storeu_ps(out + d, _mm256_mul_ps(factor, _mm256_cvtepi32_ps(wide)));
  }
  widen_frame(values, scale, d, columns, out);
}
#endif

}  // namespace

Int8Frames to_int8(const at::Tensor& frames) {
  if (frames.numel() == 0) return {at::empty(frames.sizes(), at::kChar), at::empty({frames.size(0)}, at::kFloat)};
  const at::Tensor scale = frames.abs().amax({1}) / 127.0f;
  const at::Tensor steps = (frames / scale.unsqueeze(1)).nan_to_num(0.0).round().clamp(-127, 127);
  return {steps.to(at::kChar).contiguous(), scale.contiguous()};
}

void widen_int8(const at::Tensor& values, const at::Tensor& scale, const at::Tensor& out) {
  const auto* steps = values.const_data_ptr<std::int8_t>();
  const auto* scales = scale.const_data_ptr<float>();
  auto* wide = out.mutable_data_ptr<float>();
  const std::int64_t rows = out.size(0), columns = out.size(1), stride = out.stride(0);
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) {
    for (std::int64_t t = 0; t < rows; ++t)
      widen_frame_avx2(steps + t * columns, scales[t], columns, wide + t * stride);
    return;
  }
#endif
  for (std::int64_t t = 0; t < rows; ++t) widen_frame(steps + t * columns, scales[t], 0, columns, wide + t * stride);
}

at::Tensor as_read(const at::Tensor& frames, hdf5::StoredType type) {
  if (type != hdf5::StoredType::kInt8) return frames.to(scalar_type(type));
  const Int8Frames stored = to_int8(frames);
  at::Tensor read = at::empty(frames.sizes(), at::kFloat);
  widen_int8(stored.values, stored.scale, read);
  return read;
}

at::ScalarType scalar_type(hdf5::StoredType type) {
  switch (type) {
    case hdf5::StoredType::kFloat16:
      return at::kHalf;
    case hdf5::StoredType::kBFloat16:
      return at::kBFloat16;
    default:
      return at::kFloat;
  }
}

}  // namespace strata

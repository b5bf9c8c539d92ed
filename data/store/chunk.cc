#include "data/store/chunk.h"

#include <fmt/format.h>
#include <zlib.h>

#include <memory>

#include "core/base/error.h"

namespace strata {
namespace {

/// Byte b of element i stands at b * elements + i.
template <int bytes>
void shuffle(const char* values, std::int64_t elements, char* out) {
  for (int b = 0; b < bytes; ++b) {
    for (std::int64_t i = 0; i < elements; ++i) out[b * elements + i] = values[i * bytes + b];
  }
}

template <int bytes>
void unshuffle(const char* planes, std::int64_t elements, std::int64_t first, std::int64_t count, char* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (int b = 0; b < bytes; ++b) out[i * bytes + b] = planes[b * elements + first + i];
  }
}

/// Calls f with the number as a constant, so that the inner loops are unrolled.
template <class F>
void with_constant(std::int64_t element_bytes, F&& f) {
  if (element_bytes == 1) return f(std::integral_constant<int, 1>());
  if (element_bytes == 2) return f(std::integral_constant<int, 2>());
  if (element_bytes == 4) return f(std::integral_constant<int, 4>());
  throw InternalError(fmt::format("frames of {} bytes an element cannot be shuffled", element_bytes));
}

}  // namespace

std::string deflate_chunk(std::span<const char> values, std::int64_t element_bytes) {
  std::string planes(values.size(), '\0');
  with_constant(element_bytes, [&](auto bytes) {
    shuffle<bytes()>(values.data(), static_cast<std::int64_t>(values.size()) / bytes(), planes.data());
  });
  // In frames nothing recurs but runs of one byte, so that only these are looked for: float16 layers of HuBERT's kind
  // come to 84.6 % at 76 MB/s, where zlib's usual search comes to 85.7 % at 22 MB/s (its level 1 to 86.8 % at 33 MB/s).
  constexpr int kLevel = 6, kWindowBits = 15, kMemoryLevel = 8;
  z_stream stream{};
  if (::deflateInit2(&stream, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_RLE) != Z_OK)
    throw InternalError("zlib cannot begin to deflate");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, ::deflateEnd);
  std::string stored(::deflateBound(&stream, planes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(planes.data());
  stream.avail_in = static_cast<uInt>(planes.size());
  stream.next_out = reinterpret_cast<Bytef*>(stored.data());
  stream.avail_out = static_cast<uInt>(stored.size());
  if (const int result = ::deflate(&stream, Z_FINISH); result != Z_STREAM_END) {
    throw InternalError(fmt::format("zlib cannot deflate {} bytes: error {}", planes.size(), result));
  }
  stored.resize(stream.total_out);
  return stored;
}

void inflate_chunk(std::span<const char> stored, std::int64_t element_bytes, std::int64_t elements, std::int64_t first,
                   std::span<char> out) {
  const auto size = static_cast<std::size_t>(elements * element_bytes);
  const std::unique_ptr<char[]> planes(new char[size]);
  uLongf length = size;
  uLong used = stored.size();
  const int result = ::uncompress2(reinterpret_cast<Bytef*>(planes.get()), &length,
                                   reinterpret_cast<const Bytef*>(stored.data()), &used);
  if (result != Z_OK || length != size || used != stored.size()) {
    throw DataError(fmt::format("a chunk of {} bytes does not inflate to {} bytes", stored.size(), size));
  }
  with_constant(element_bytes, [&](auto bytes) {
    unshuffle<bytes()>(planes.get(), elements, first, static_cast<std::int64_t>(out.size()) / bytes(), out.data());
  });
}

}  // namespace strata

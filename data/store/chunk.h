#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace strata {

/// What HDF5's filters shuffle and deflate make of a chunk, made without the library and its lock. Equal values give
/// equal bytes.
///   values         a whole number of elements
///   element_bytes  1, 2 or 4: of one element
std::string deflate_chunk(std::span<const char> values, std::int64_t element_bytes);

/// The elements from `first` on of a chunk that `deflate_chunk` made.
///   stored    bytes of nobody knows whom
///   elements  of the whole chunk
///   out       a whole number of elements; first and they lie within the chunk
/// Throws DataError, without a place, if `stored` does not hold exactly `elements` elements.
void inflate_chunk(std::span<const char> stored, std::int64_t element_bytes, std::int64_t elements, std::int64_t first,
                   std::span<char> out);

/// No stream of deflate becomes longer than so many times its length; what promises more is refused before memory is
/// taken.
inline constexpr std::int64_t kMaxInflation = 1040;

}  // namespace strata

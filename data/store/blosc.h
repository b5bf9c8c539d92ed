#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace strata {

// The filter is a plugin that HDF5 finds and loads. Chunks reach it through HDF5's own pipeline, each as a dataset of
// one chunk in memory: under HDF5's lock, one at a time.

/// Throws ConfigError "<place>: <what is missing, and what to do>" if chunks of Blosc cannot be made and read here.
/// Takes HDF5's lock.
void require_blosc(const std::string& place);

/// What HDF5's filters shuffle and blosc (hdf5.h, set_filters) make of a chunk. Equal values give equal bytes. Takes
/// HDF5's lock. To be called where require_blosc passes: elsewhere nothing shrinks.
///   values         a whole number of elements, at least one
///   element_bytes  of one element
std::string blosc_chunk(std::span<const char> values, std::int64_t element_bytes);

/// The elements from `first` on of a chunk that `blosc_chunk` made. Takes HDF5's lock.
///   stored    bytes of nobody knows whom
///   elements  of the whole chunk
///   out       a whole number of elements, at least one; first and they lie within the chunk
/// Throws DataError, without a place, if `stored` does not hold exactly `elements` elements.
void unblosc_chunk(std::span<const char> stored, std::int64_t element_bytes, std::int64_t elements, std::int64_t first,
                   std::span<char> out);

/// No chunk becomes longer than so many times its length: a block of zstd has at least 4 bytes and gives at most
/// 128 KiB, and the other codecs give less.
inline constexpr std::int64_t kMaxBloscInflation = 1 << 15;

}  // namespace strata

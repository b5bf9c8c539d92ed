#include "data/store/blosc.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/base/error.h"
#include "data/store/hdf5.h"

namespace strata {
namespace {

using hdf5::check;

const std::string kPlace = "a chunk in memory";

/// What a chunk of Blosc begins with, little-endian (README_CHUNK_FORMAT.rst of c-blosc).
struct Header {
  std::uint8_t version = 0;
  std::uint8_t codec_version = 0;
  std::uint8_t flags = 0;
  std::uint8_t element_bytes = 0;
  std::uint32_t value_bytes = 0;  // of all values
  std::uint32_t block_bytes = 0;
  std::uint32_t chunk_bytes = 0;  // with the header
};
static_assert(sizeof(Header) == 16);

/// A dataset in memory of one chunk, which takes about `stored_bytes` once it has passed the filters.
struct OneChunk {
  OneChunk(std::int64_t element_bytes, std::int64_t elements, std::size_t stored_bytes) {
    const auto length = static_cast<hsize_t>(elements);
    constexpr std::size_t kTableBytes = 4096;
    hdf5::silence();
    file = hdf5::create_image(kPlace, stored_bytes + kTableBytes);
    type = hdf5::Id(H5Tcreate(H5T_OPAQUE, static_cast<std::size_t>(element_bytes)), H5Tclose);
    space = hdf5::Id(H5Screate_simple(1, &length, nullptr), H5Sclose);
    const hdf5::Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(creation.get(), 1, &length);
    H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
    hdf5::set_filters(creation, hdf5::Compression::kBlosc, kPlace);
    set = hdf5::Id(
        check(H5Dcreate2(file.get(), "chunk", type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
              kPlace, "make a dataset by its filter blosc"),
        H5Dclose);
  }
  hdf5::Id file, type, space, set;
};

/// Blosc's own form of what does not shrink. HDF5 would leave out the filter for such a chunk; this way every chunk is
/// one of Blosc's.
std::string unshrunk(const std::string& values, std::int64_t element_bytes) {
  constexpr std::uint8_t kVersion = 2, kCodecVersion = 1, kCopied = 2;
  Header header{kVersion, kCodecVersion, kCopied, static_cast<std::uint8_t>(element_bytes)};
  header.value_bytes = header.block_bytes = static_cast<std::uint32_t>(values.size());
  header.chunk_bytes = header.value_bytes + static_cast<std::uint32_t>(sizeof header);
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + values;
}

/// What the filters make of values. Under HDF5's lock.
std::string packed(std::span<const char> values, std::int64_t element_bytes) {
  const OneChunk one(element_bytes, static_cast<std::int64_t>(values.size()) / element_bytes, values.size());
  check(H5Dwrite(one.set.get(), one.type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), kPlace, "write it");
  const hsize_t first = 0;
  hsize_t size = 0;
  check(H5Dget_chunk_storage_size(one.set.get(), &first, &size), kPlace, "use its filter blosc");
  std::string chunk(size, '\0');
  std::uint32_t skipped = 0;
  check(H5Dread_chunk(one.set.get(), H5P_DEFAULT, &first, &skipped, chunk.data()), kPlace, "give it as it is stored");
  return skipped == 0 ? chunk : unshrunk(chunk, element_bytes);
}

/// Where HDF5 looks for plugins.
std::vector<std::string> plugin_folders() {
  unsigned count = 0;
  H5PLsize(&count);
  std::vector<std::string> folders;
  for (unsigned i = 0; i < count; ++i) {
    char folder[4096];
    if (H5PLget(i, folder, sizeof folder) > 0) folders.emplace_back(folder);
  }
  return folders;
}

}  // namespace

void require_blosc(const std::string& place) {
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  const std::string zeros(4096, '\0');  // a plugin without zstd is no error: it shrinks nothing
  if (H5Zfilter_avail(hdf5::kBloscFilter) > 0 && packed(zeros, 1).size() < zeros.size()) return;
  throw ConfigError(
      fmt::format("{}: HDF5 has no filter {} (blosc, with its codec zstd) in {}: install Debian's package "
                  "hdf5-filter-plugin-blosc-serial, or set HDF5_PLUGIN_PATH to the folder that has the plugin",
                  place, hdf5::kBloscFilter, fmt::join(plugin_folders(), ", ")));
}

std::string blosc_chunk(std::span<const char> values, std::int64_t element_bytes) {
  const std::lock_guard lock(hdf5::library_lock());
  return packed(values, element_bytes);
}

void unblosc_chunk(std::span<const char> stored, std::int64_t element_bytes, std::int64_t elements, std::int64_t first,
                   std::span<char> out) {
  const std::lock_guard lock(hdf5::library_lock());
  const auto size = static_cast<std::size_t>(elements * element_bytes);
  const DataError damaged(fmt::format("a chunk of {} bytes does not inflate to {} bytes", stored.size(), size));
  // The plugin believes both lengths: by them it takes memory and reads, and HDF5 copies out of what it gives.
  Header header;
  std::memcpy(&header, stored.data(), std::min(stored.size(), sizeof header));
  if (stored.size() < sizeof header || header.chunk_bytes != stored.size() || header.value_bytes != size) throw damaged;
  const OneChunk one(element_bytes, elements, stored.size());
  const hsize_t chunk_start = 0, start = static_cast<hsize_t>(first),
                count = out.size() / static_cast<std::size_t>(element_bytes);
  const hdf5::Id memory(H5Screate_simple(1, &count, nullptr), H5Sclose);
  check(H5Dwrite_chunk(one.set.get(), H5P_DEFAULT, 0, &chunk_start, stored.size(), stored.data()), kPlace, "take it");
  H5Sselect_hyperslab(one.space.get(), H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  if (H5Dread(one.set.get(), one.type.get(), memory.get(), one.space.get(), H5P_DEFAULT, out.data()) < 0) throw damaged;
}

}  // namespace strata

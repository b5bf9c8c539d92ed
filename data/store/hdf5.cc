#include "data/store/hdf5.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"

namespace strata::hdf5 {
namespace {

herr_t keep_last_reason(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr && *error->desc != '\0') *static_cast<std::string*>(text) = error->desc;
  return 0;
}

std::string library_reason() {
  std::string reason = "no reason given";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_last_reason, &reason);
  return reason;
}

Id plain_creation() {
  Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  H5Pset_layout(properties.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  return properties;
}

/// True if the dataset's bytes are all in the file: a table that was never written reads as zeros of any length, and what
/// it says of its size need not be true.
bool is_stored(const Id& set, const Id& type, hsize_t length) {
  const Id creation(H5Dget_create_plist(set.get()), H5Pclose);
  const Id file(H5Iget_file_id(set.get()), H5Fclose);
  hsize_t file_bytes = 0;
  const bool known = H5Fget_filesize(file.get(), &file_bytes) >= 0;
  return known && H5Pget_external_count(creation.get()) == 0 &&
         length <= std::min(H5Dget_storage_size(set.get()), file_bytes) / std::max<std::size_t>(1, H5Tget_size(type.get()));
}

template <class T>
std::vector<T> read_vector(const Id& parent, const std::string& name, hid_t memory_type, H5T_class_t expected, const std::string& place) {
  const Id set(check(H5Dopen2(parent.get(), name.c_str(), H5P_DEFAULT), place, ("open " + name).c_str()), H5Dclose);
  const Id type(H5Dget_type(set.get()), H5Tclose);
  const Id space(H5Dget_space(set.get()), H5Sclose);
  hsize_t length = 0;
  if (H5Tget_class(type.get()) != expected || H5Sget_simple_extent_ndims(space.get()) != 1 ||
      H5Sget_simple_extent_dims(space.get(), &length, nullptr) != 1 || !is_stored(set, type, length)) {
    throw DataError(fmt::format("{} \"{}\": expected a list of integers", place, name));
  }
  std::vector<T> values(length);
  check(H5Dread(set.get(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), place, ("read " + name).c_str());
  return values;
}

/// An open dataset and what describes it.
struct OpenSet {
  OpenSet(const Id& parent, const std::string& name, const std::string& place)
      : set(check(H5Dopen2(parent.get(), name.c_str(), H5P_DEFAULT), place, ("open " + name).c_str()), H5Dclose),
        type(H5Dget_type(set.get()), H5Tclose),
        space(H5Dget_space(set.get()), H5Sclose),
        creation(H5Dget_create_plist(set.get()), H5Pclose) {}
  Id set, type, space, creation;
};

std::int64_t contiguous_offset(const OpenSet& set, hsize_t rows, const std::string& name, const std::string& place) {
  const haddr_t offset = H5Dget_offset(set.set.get());
  if (offset == HADDR_UNDEF && rows != 0)
    throw DataError(fmt::format("{} \"{}\": HDF5 does not tell where the data are", place, name));
  return offset == HADDR_UNDEF ? 0 : static_cast<std::int64_t>(offset);
}

Extent locate_list(const Id& parent, const std::string& name, const Id& type, const char* type_name,
                   const std::string& place) {
  const OpenSet set(parent, name, place);
  hsize_t rows = 0;
  if (H5Sget_simple_extent_ndims(set.space.get()) != 1 ||
      H5Sget_simple_extent_dims(set.space.get(), &rows, nullptr) != 1 || H5Tequal(set.type.get(), type.get()) <= 0 ||
      H5Pget_layout(set.creation.get()) != H5D_CONTIGUOUS) {
    throw DataError(fmt::format("{} \"{}\": expected a contiguous list of {}", place, name, type_name));
  }
  Extent extent;
  extent.offset_bytes = contiguous_offset(set, rows, name, place);
  extent.rows = static_cast<std::int64_t>(rows);
  extent.columns = 1;
  return extent;
}

std::vector<H5Z_filter_t> filters_of(const Id& creation) {
  std::vector<H5Z_filter_t> filters;
  for (int f = 0; f < H5Pget_nfilters(creation.get()); ++f) {
    unsigned flags = 0;
    std::size_t no_values = 0;
    filters.push_back(H5Pget_filter2(creation.get(), static_cast<unsigned>(f), &flags, &no_values, nullptr, 0, nullptr,
                                     nullptr));
  }
  return filters;
}

/// The compression of a dataset by its filters; kNone if it is none of ours.
Compression compression_of(const Id& creation) {
  const std::vector<H5Z_filter_t> filters = filters_of(creation);
  if (filters == std::vector<H5Z_filter_t>{H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE}) return Compression::kDeflate;
  if (filters == std::vector<H5Z_filter_t>{H5Z_FILTER_SHUFFLE, kBloscFilter}) return Compression::kBlosc;
  return Compression::kNone;
}

/// The rows of a chunk if chunks are of whole rows and compressed in one of our ways; else 0.
std::int64_t packed_chunk_rows(const OpenSet& set, hsize_t columns) {
  hsize_t chunk[2] = {0, 0};
  if (H5Pget_layout(set.creation.get()) != H5D_CHUNKED || H5Pget_chunk(set.creation.get(), 2, chunk) != 2 ||
      chunk[1] != columns || compression_of(set.creation) == Compression::kNone)
    return 0;
  return static_cast<std::int64_t>(chunk[0]);
}

std::vector<ChunkPlace> chunk_places(const OpenSet& set, const Extent& extent, const std::string& name,
                                     const std::string& place) {
  hsize_t stored = 0;
  check(H5Dget_num_chunks(set.set.get(), set.space.get(), &stored), place, ("list the chunks of " + name).c_str());
  const std::int64_t wanted = extent.rows / extent.chunk_rows + (extent.rows % extent.chunk_rows != 0 ? 1 : 0);
  if (wanted > kMaxChunks || static_cast<hsize_t>(wanted) != stored) {
    throw DataError(fmt::format("{} \"{}\": it has {} chunks, expected {} and at most {}", place, name, stored, wanted,
                                kMaxChunks));
  }
  std::vector<ChunkPlace> chunks;
  for (std::int64_t c = 0; c < wanted; ++c) {
    const hsize_t first[2] = {static_cast<hsize_t>(c * extent.chunk_rows), 0};
    unsigned skipped = 0;
    haddr_t offset = HADDR_UNDEF;
    hsize_t size = 0;
    check(H5Dget_chunk_info_by_coord(set.set.get(), first, &skipped, &offset, &size), place,
          ("find a chunk of " + name).c_str());
    if (offset == HADDR_UNDEF || skipped != 0)
      throw DataError(fmt::format("{} \"{}\": chunk {} is not there, or did not pass its filters", place, name, c));
    chunks.push_back({static_cast<std::int64_t>(offset), static_cast<std::int64_t>(size)});
  }
  return chunks;
}

}  // namespace

std::mutex& library_lock() {
  static std::mutex lock;
  return lock;
}

template <class T>
T check(T result, const std::string& place, const char* operation) {
  if (result < 0) throw DataError(fmt::format("{}: HDF5 cannot {}: {}", place, operation, library_reason()));
  return result;
}
template herr_t check(herr_t, const std::string&, const char*);
template hid_t check(hid_t, const std::string&, const char*);

const std::vector<std::string>& stored_type_names() {
  static const std::vector<std::string> names = {"float32", "float16", "bfloat16", "int8"};
  return names;
}

StoredType stored_type(const std::string& name) {
  const auto& names = stored_type_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw DataError(fmt::format("unknown storage type \"{}\"", name));
  return static_cast<StoredType>(found - names.begin());
}

const std::string& name_of(StoredType type) { return stored_type_names()[static_cast<std::size_t>(type)]; }

std::int64_t bytes_of(StoredType type) { return type == StoredType::kFloat32 ? 4 : type == StoredType::kInt8 ? 1 : 2; }

const std::vector<std::string>& compression_names() {
  static const std::vector<std::string> names = {"none", "deflate", "blosc"};
  return names;
}

Compression compression(const std::string& name) {
  const auto& names = compression_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw DataError(fmt::format("unknown compression \"{}\"", name));
  return static_cast<Compression>(found - names.begin());
}

const std::string& name_of(Compression compression) {
  return compression_names()[static_cast<std::size_t>(compression)];
}

void set_filters(const Id& creation, Compression compression, const std::string& place) {
  if (compression != Compression::kNone) H5Pset_shuffle(creation.get());
  if (compression == Compression::kDeflate) {
    constexpr unsigned kLevel = 6;  // only a note for readers; chunks come deflated (chunk.h)
    check(H5Pset_deflate(creation.get(), kLevel), place, "use its filter deflate");
  }
  if (compression == Compression::kBlosc) {
    // The first four are filled in by Blosc; then level 1, no shuffle of its own, codec zstd. Behind HDF5's shuffle a
    // block of Blosc has bytes of one significance: float16 layers of HuBERT's kind come to 84.6 %, by Blosc's shuffle
    // to 92.1 % (lz4: to 100 %), at level 5 to 91.9 % in four times the time.
    const unsigned values[7] = {0, 0, 0, 0, 1, 0, 5};
    // Optional, as Blosc asks for: values that it cannot shrink are an error otherwise (blosc.cc).
    check(H5Pset_filter(creation.get(), kBloscFilter, H5Z_FLAG_OPTIONAL, 7, values), place, "use its filter blosc");
  }
}

Id make_type(StoredType type) {
  if (type == StoredType::kInt8) return Id(H5Tcopy(H5T_STD_I8LE), H5Tclose);
  Id made(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  if (type == StoredType::kFloat32) return made;
  const bool half = type == StoredType::kFloat16;
  // sign, exponent start and size, fraction start and size, exponent bias
  H5Tset_fields(made.get(), 15, half ? 10 : 7, half ? 5 : 8, 0, half ? 10 : 7);
  H5Tset_size(made.get(), 2);
  H5Tset_ebias(made.get(), half ? 15 : 127);
  return made;
}

void silence() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Id create_image(const std::string& place, std::size_t growth_bytes) {
  constexpr hsize_t kAlignmentBytes = 64;
  Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_fapl_core(access.get(), growth_bytes, /*backing_store=*/false);
  H5Pset_alignment(access.get(), kAlignmentBytes, kAlignmentBytes);  // frames are read in place, from a mapping
  const Id creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation.get(), false);
  return Id(check(H5Fcreate(place.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), place, "create the file"), H5Fclose);
}

std::string_view bytes_of_image(const Id& file, const std::string& place) {
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), place, "complete the file");
  // H5Fget_file_image is asked for the size only: what 1.10.8 gives has a superblock with a wrong checksum.
  const ssize_t size = check(H5Fget_file_image(file.get(), nullptr, 0), place, "complete the file");
  void* memory = nullptr;
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &memory), place, "complete the file");
  return {*static_cast<const char**>(memory), static_cast<std::size_t>(size)};
}

Id open_file(const std::filesystem::path& path) {
  return Id(check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), path.string(), "open the file"), H5Fclose);
}

int descriptor_of(const Id& file, const std::string& place) {
  void* descriptor = nullptr;
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &descriptor), place, "tell which file it reads");
  return *static_cast<const int*>(descriptor);
}

Id create_group(const Id& parent, const std::string& name, const std::string& place) {
  const Id properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  return Id(check(H5Gcreate2(parent.get(), name.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT), place, ("create " + name).c_str()), H5Gclose);
}

void write_dataset(const Id& parent, const std::string& name, const Id& type, const std::vector<hsize_t>& shape,
                   const void* values, const std::string& place) {
  const Id space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const Id set(check(H5Dcreate2(parent.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, plain_creation().get(), H5P_DEFAULT),
                     place, ("create " + name).c_str()), H5Dclose);
  if (std::find(shape.begin(), shape.end(), hsize_t{0}) != shape.end()) return;
  check(H5Dwrite(set.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values), place, ("write " + name).c_str());
}

void reserve_dataset(const Id& parent, const std::string& name, const Id& type, const std::vector<hsize_t>& shape,
                     const std::string& place) {
  const Id space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const Id properties = plain_creation();
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  const Id set(
      check(H5Dcreate2(parent.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
            place, ("create " + name).c_str()),
      H5Dclose);
}

void write_chunks(const Id& parent, const std::string& name, const Id& type, std::int64_t rows, std::int64_t columns,
                  std::int64_t chunk_rows, Compression compression, const std::vector<std::string>& chunks,
                  const std::string& place) {
  const hsize_t shape[2] = {static_cast<hsize_t>(rows), static_cast<hsize_t>(columns)};
  const hsize_t chunk[2] = {static_cast<hsize_t>(chunk_rows), static_cast<hsize_t>(columns)};
  const Id space(H5Screate_simple(2, shape, nullptr), H5Sclose);
  const Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  H5Pset_chunk(properties.get(), 2, chunk);
  set_filters(properties, compression, place);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  const Id set(
      check(H5Dcreate2(parent.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
            place, ("create " + name).c_str()),
      H5Dclose);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    const hsize_t first[2] = {c * chunk[0], 0};
    check(H5Dwrite_chunk(set.get(), H5P_DEFAULT, 0, first, chunks[c].size(), chunks[c].data()), place,
          ("write " + name).c_str());
  }
}

void write_int16s(const Id& parent, const std::string& name, const std::vector<std::int16_t>& values,
                  const std::string& place) {
  write_dataset(parent, name, Id(H5Tcopy(H5T_STD_I16LE), H5Tclose), {values.size()}, values.data(), place);
}

void write_int64s(const Id& parent, const std::string& name, const std::vector<std::int64_t>& values, const std::string& place) {
  write_dataset(parent, name, Id(H5Tcopy(H5T_STD_I64LE), H5Tclose), {values.size()}, values.data(), place);
}

void write_uint64s(const Id& parent, const std::string& name, const std::vector<std::uint64_t>& values, const std::string& place) {
  write_dataset(parent, name, Id(H5Tcopy(H5T_STD_U64LE), H5Tclose), {values.size()}, values.data(), place);
}

void write_texts(const Id& parent, const std::string& name, const std::vector<std::string>& values, const std::string& place) {
  std::size_t longest = 1;
  for (const std::string& value : values) longest = std::max(longest, value.size());
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), longest);
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  std::string packed(longest * values.size(), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) std::memcpy(packed.data() + i * longest, values[i].data(), values[i].size());
  write_dataset(parent, name, type, {values.size()}, packed.data(), place);
}

void write_attribute(const Id& object, const std::string& name, std::int64_t value, const std::string& place) {
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Id attribute(check(H5Acreate2(object.get(), name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), place,
                           ("create attribute " + name).c_str()), H5Aclose);
  check(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value), place, ("write attribute " + name).c_str());
}

std::int64_t read_attribute(const Id& parent, const std::string& object, const std::string& name,
                            const std::string& place) {
  const std::string operation = "read the attribute " + name + " of " + object;
  const Id attribute(check(H5Aopen_by_name(parent.get(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), place,
                           operation.c_str()),
                     H5Aclose);
  const Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Id space(H5Aget_space(attribute.get()), H5Sclose);
  if (H5Tget_class(type.get()) != H5T_INTEGER || H5Sget_simple_extent_npoints(space.get()) != 1)
    throw DataError(fmt::format("{} \"{}\": expected one integer as its attribute {}", place, object, name));
  std::int64_t value = 0;
  check(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), place, operation.c_str());
  return value;
}

std::vector<std::int64_t> read_int64s(const Id& parent, const std::string& name, const std::string& place) {
  return read_vector<std::int64_t>(parent, name, H5T_NATIVE_INT64, H5T_INTEGER, place);
}

std::vector<std::uint64_t> read_uint64s(const Id& parent, const std::string& name, const std::string& place) {
  return read_vector<std::uint64_t>(parent, name, H5T_NATIVE_UINT64, H5T_INTEGER, place);
}

std::vector<std::string> read_texts(const Id& parent, const std::string& name, const std::string& place) {
  const Id set(check(H5Dopen2(parent.get(), name.c_str(), H5P_DEFAULT), place, ("open " + name).c_str()), H5Dclose);
  const Id type(H5Dget_type(set.get()), H5Tclose);
  const Id space(H5Dget_space(set.get()), H5Sclose);
  hsize_t count = 0;
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0 || H5Sget_simple_extent_ndims(space.get()) != 1 ||
      H5Sget_simple_extent_dims(space.get(), &count, nullptr) != 1 || !is_stored(set, type, count)) {
    throw DataError(fmt::format("{} \"{}\": expected a list of fixed-length strings", place, name));
  }
  const std::size_t width = H5Tget_size(type.get());
  std::string packed(width * count, '\0');
  check(H5Dread(set.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data()), place, ("read " + name).c_str());
  std::vector<std::string> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = packed.substr(i * width, strnlen(packed.data() + i * width, width));
  return values;
}

std::vector<std::string> names_in(const Id& parent, const std::string& group, const std::string& place) {
  const Id opened(check(H5Gopen2(parent.get(), group.c_str(), H5P_DEFAULT), place, ("open " + group).c_str()),
                  H5Gclose);
  H5G_info_t info;
  check(H5Gget_info(opened.get(), &info), place, ("read " + group).c_str());
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[256];
    const ssize_t length =
        H5Lget_name_by_idx(opened.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
    check(static_cast<hid_t>(length), place, ("read " + group).c_str());
    names.emplace_back(name);
  }
  return names;
}

Extent locate(const Id& parent, const std::string& name, StoredType expected, const std::string& place) {
  const OpenSet set(parent, name, place);
  hsize_t dims[2] = {0, 0};
  if (H5Sget_simple_extent_ndims(set.space.get()) != 2 ||
      H5Sget_simple_extent_dims(set.space.get(), dims, nullptr) != 2) {
    throw DataError(fmt::format("{} \"{}\": expected [frames, width]", place, name));
  }
  Extent extent;
  extent.rows = static_cast<std::int64_t>(dims[0]);
  extent.columns = static_cast<std::int64_t>(dims[1]);
  const bool contiguous = H5Pget_layout(set.creation.get()) == H5D_CONTIGUOUS;
  if (!contiguous) extent.chunk_rows = packed_chunk_rows(set, dims[1]);
  if (H5Tequal(set.type.get(), make_type(expected).get()) <= 0 || (!contiguous && extent.chunk_rows == 0)) {
    throw DataError(
        fmt::format("{} \"{}\": expected {}, contiguous or in chunks of whole frames by shuffle and deflate or blosc",
                    place, name, name_of(expected)));
  }
  if (contiguous) {
    extent.offset_bytes = contiguous_offset(set, dims[0], name, place);
  } else {
    extent.compression = compression_of(set.creation);
    extent.chunks = chunk_places(set, extent, name, place);
  }
  return extent;
}

Extent locate_floats(const Id& parent, const std::string& name, const std::string& place) {
  return locate_list(parent, name, make_type(StoredType::kFloat32), "float32", place);
}

Extent locate_int16s(const Id& parent, const std::string& name, const std::string& place) {
  return locate_list(parent, name, Id(H5Tcopy(H5T_STD_I16LE), H5Tclose), "int16", place);
}

}  // namespace strata::hdf5

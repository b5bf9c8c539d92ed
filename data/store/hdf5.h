#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace strata::hdf5 {

/// HDF5 is built without thread-safety on most machines: every call into it is made under this lock. Frame data are read
/// without the library and without the lock (shard_reader.h).
std::mutex& library_lock();

/// An HDF5 identifier with the call that closes it. Move-only; closing errors are ignored, as in a destructor they must be.
class Id {
 public:
  using Close = herr_t (*)(hid_t);
  Id() = default;
  Id(hid_t id, Close close) : id_(id), close_(close) {}
  ~Id() {
    if (id_ >= 0) close_(id_);
  }
  Id(Id&& other) noexcept : id_(other.id_), close_(other.close_) { other.id_ = -1; }
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  hid_t get() const { return id_; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Throws DataError "<place>: HDF5 cannot <operation>: <reason of the library>" if `result` is negative; else returns it.
template <class T>
T check(T result, const std::string& place, const char* operation);

/// The element types that frames are stored in. int8 has a float32 scale per frame beside it (int8.h).
enum class StoredType { kFloat32, kFloat16, kBFloat16, kInt8 };
/// "float32", "float16", "bfloat16", "int8".
const std::vector<std::string>& stored_type_names();
StoredType stored_type(const std::string& name);
const std::string& name_of(StoredType type);
std::int64_t bytes_of(StoredType type);
/// bfloat16 is an HDF5 float type with 8 exponent and 7 fraction bits; any HDF5 converts it.
Id make_type(StoredType type);

/// How frames are packed: as they are, or in chunks by HDF5's own filter shuffle and then deflate, which any HDF5
/// undoes, or Blosc, which is a plugin (blosc.h).
enum class Compression { kNone, kDeflate, kBlosc };
/// "none", "deflate", "blosc".
const std::vector<std::string>& compression_names();
Compression compression(const std::string& name);
const std::string& name_of(Compression compression);
/// The number under which the HDF Group has registered Blosc.
inline constexpr H5Z_filter_t kBloscFilter = 32001;
/// Gives the filters of a compression to a dataset that will be created.
void set_filters(const Id& creation, Compression compression, const std::string& place);

/// Stops HDF5 from printing its error stack; errors come as exceptions of ours.
void silence();

/// A file that is made in memory: HDF5 1.10 crashes when it cannot write to a disk what it has in its caches (a full disk
/// is found when a file is closed, the process ends with a segmentation fault at exit), so it is given no disk to write to.
///   growth_bytes  by how much its memory grows: about its size, else it is moved again and again
Id create_image(const std::string& place, std::size_t growth_bytes);
/// The bytes of such a file, which are there as long as it is; no time stamps are in them, so that equal content makes equal files.
std::string_view bytes_of_image(const Id& file, const std::string& place);
Id open_file(const std::filesystem::path& path);
/// The descriptor by which HDF5 reads a file that it opened.
int descriptor_of(const Id& file, const std::string& place);
Id create_group(const Id& parent, const std::string& name, const std::string& place);

/// Makes a contiguous, uncompressed dataset whose values are not in the image: they are put into the file where it lies.
void reserve_dataset(const Id& parent, const std::string& name, const Id& type, const std::vector<hsize_t>& shape,
                     const std::string& place);

/// Writes a contiguous, uncompressed dataset in native layout of `type` (values given in that type) without time stamps,
/// so that equal content makes equal files.
void write_dataset(const Id& parent, const std::string& name, const Id& type, const std::vector<hsize_t>& shape,
                   const void* values, const std::string& place);
/// Writes a dataset [rows, columns] whose chunks of `chunk_rows` rows have passed the filters of `compression` already
/// (chunk.h, blosc.h).
void write_chunks(const Id& parent, const std::string& name, const Id& type, std::int64_t rows, std::int64_t columns,
                  std::int64_t chunk_rows, Compression compression, const std::vector<std::string>& chunks,
                  const std::string& place);
void write_int16s(const Id& parent, const std::string& name, const std::vector<std::int16_t>& values,
                  const std::string& place);
void write_int64s(const Id& parent, const std::string& name, const std::vector<std::int64_t>& values, const std::string& place);
void write_uint64s(const Id& parent, const std::string& name, const std::vector<std::uint64_t>& values, const std::string& place);
/// Fixed-length UTF-8, zero-padded to the longest.
void write_texts(const Id& parent, const std::string& name, const std::vector<std::string>& values, const std::string& place);
void write_attribute(const Id& object, const std::string& name, std::int64_t value, const std::string& place);

/// A number that `write_attribute` wrote to an object below `parent`.
std::int64_t read_attribute(const Id& parent, const std::string& object, const std::string& name,
                            const std::string& place);
std::vector<std::int64_t> read_int64s(const Id& parent, const std::string& name, const std::string& place);
std::vector<std::uint64_t> read_uint64s(const Id& parent, const std::string& name, const std::string& place);
std::vector<std::string> read_texts(const Id& parent, const std::string& name, const std::string& place);

/// Names of what a group holds.
std::vector<std::string> names_in(const Id& parent, const std::string& group, const std::string& place);

/// Where a chunk of a compressed dataset lies in its file.
struct ChunkPlace {
  std::int64_t offset_bytes = 0;
  std::int64_t size_bytes = 0;
};

/// Where the bytes of a two-dimensional dataset lie in its file.
struct Extent {
  std::int64_t offset_bytes = 0;  // of contiguous data
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t chunk_rows = 0;     // 0: contiguous
  std::vector<ChunkPlace> chunks;  // else: one for every chunk_rows rows, the last one filled up
  Compression compression = Compression::kNone;
};
/// At most this many chunks make a dataset: HDF5 1.10 looks through all of them to find one.
inline constexpr std::int64_t kMaxChunks = 1 << 14;
/// Throws DataError if the dataset has another type than `type`, is not two-dimensional, or is neither contiguous nor
/// made of chunks of whole rows, all there, that passed the filters of one compression. Whether the places lie in the
/// file, and whether there is a filter, is not checked.
Extent locate(const Id& parent, const std::string& name, StoredType type, const std::string& place);
/// The same of a contiguous float32 list [rows]; columns is 1.
Extent locate_floats(const Id& parent, const std::string& name, const std::string& place);
/// The same of a contiguous int16 list.
Extent locate_int16s(const Id& parent, const std::string& name, const std::string& place);

}  // namespace strata::hdf5

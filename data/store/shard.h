#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/file.h"
#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "data/store/hdf5.h"
#include "data/store/int8.h"
#include "data/store/pages.h"

namespace strata {

/// One utterance on its way into a shard.
struct ShardUtterance {
  std::string id;
  std::int64_t samples = 0;          // at 16 kHz
  std::vector<at::Tensor> features;  // one [T, D] per tap of the shard, in scalar_type of the stored type, contiguous
  std::vector<at::Tensor> scales = {};  // [T] float32 per tap, if the features are in int8 already
};

/// An utterance that could not be read: it is recorded beside the shard instead.
struct FailedUtterance {
  std::string id;
  std::string reason;
};

/// What a shard belongs to. Its sidecar says so, lest a pair of files copied in from elsewhere is taken for what should
/// be there: widths, taps and ids may all fit.
struct ShardOrigin {
  std::string fingerprint;  // of the upstream, as in store.json
  std::string corpus;
  std::string shard;  // name of its file

  bool operator==(const ShardOrigin&) const = default;
};

/// Writes `path` (shard-00000.h5) and its sidecar (shard-00000.json): beside, flushed, renamed; the sidecar first, so
/// that a shard that is there is whole and can be verified. The file is made in memory first. Equal content gives equal
/// bytes. Layout: contract of the feature store.
///   /utterances/{id, samples}, /taps/<name>/{frames [sum T, D], first, count, checksum}, and scale [sum T] float32 of
///   int8
/// Compressed frames are in chunks of whole frames, at least 128 KiB before compression; all else is as without.
///   origin  what the sidecar says that the shard belongs to, with a checksum of its own; none: it says nothing, as
///           those that older versions wrote
/// Throws DataError (full disk, no permission) and leaves no shard and no partial file.
void write_shard(const std::filesystem::path& path, const std::vector<Tap>& taps, hdf5::StoredType type,
                 const std::vector<ShardUtterance>& utterances, const std::vector<FailedUtterance>& failed,
                 hdf5::Compression compression = hdf5::Compression::kNone,
                 const std::optional<ShardOrigin>& origin = std::nullopt);

/// One tap of an open shard.
struct ShardTap {
  hdf5::Extent frames;              // [rows, D] of the stored type
  hdf5::Extent scale;               // of int8: [rows] float32
  std::vector<std::int64_t> first;  // per utterance: first row
  std::vector<std::int64_t> count;  // per utterance: T
  std::vector<std::uint64_t>
      checksum;  // per utterance: XXH3-64 of its stored bytes before compression, of int8 frames and then scales
};

/// Frames as they are stored.
struct StoredFrames {
  at::Tensor values;  // [T, D] in the stored type itself
  at::Tensor scale;   // of int8: [T] float32; else undefined
};

/// A shard opened for reading; how it is compressed it tells itself. HDF5 tells where the frames are and is then
/// closed; the file stays mapped, so that frames are the pages of the file themselves, shared by all ranks of a node.
/// It keeps no file open. Nothing in the file is trusted: the sidecar's checksum is verified before HDF5 sees the file,
/// and every offset is held against the file's size, as is what compressed frames may come to. A plugin of HDF5
/// (blosc.h) is looked for only then. Immutable after
/// construction and thread-safe.
class ShardReader {
 public:
  /// Opens the shard and its sidecar.
  ///   taps      those that can be read; the shard may hold more, which are then not verified either
  ///   expected  what it must belong to if its sidecar says anything about that; none: whatever it says
  /// Throws DataError that names the file and what is wrong, or what it belongs to instead; ConfigError if HDF5 lacks
  /// the filter of its frames.
  ShardReader(std::filesystem::path path, const std::vector<Tap>& taps, hdf5::StoredType type,
              const std::optional<ShardOrigin>& expected = std::nullopt);

  const std::vector<std::string>& ids() const { return ids_; }
  const std::vector<std::int64_t>& samples() const { return samples_; }
  const std::vector<FailedUtterance>& failed() const { return failed_; }
  const ShardTap& tap(std::size_t tap) const { return taps_[tap]; }
  const std::filesystem::path& path() const { return path_; }
  /// What its sidecar says that it belongs to; nothing if it was written by an older version.
  const std::optional<ShardOrigin>& origin() const { return origin_; }
  /// Of its frames; of a shard without frames, none.
  hdf5::Compression compression() const;

  /// The frames of one utterance: [T, D] in scalar_type of the stored type, contiguous. Uncompressed floating-point
  /// types are a view of the mapping, not to be written to, which lives on after the reader. Throws DataError if a
  /// chunk is damaged.
  at::Tensor read(std::size_t tap, std::size_t utterance) const;

  /// The first N frames of what `read` returns, into a buffer of the caller: converted on the way, and without a copy
  /// in between unless they are compressed.
  ///   out  [N, D] in float32 or scalar_type of the stored type, N <= T, on the CPU; each row contiguous, the rows may
  ///        lie apart, as those of an utterance in [B, T, L, D]
  /// Throws ShapeError (both shapes) if it is otherwise, DataError as `read`. Thread-safe as `read` is, each thread
  /// with a buffer of its own.
  void read_into(std::size_t tap, std::size_t utterance, const at::Tensor& out) const;

  /// What `read` returns as it is stored, before int8 is widened.
  StoredFrames stored(std::size_t tap, std::size_t utterance) const;

  /// Asks the system to read an utterance's frames from disk now, and does not wait: exactly their pages (of compressed
  /// ones, those of their chunks), no neighbours'.
  void prefetch(std::size_t tap, std::size_t utterance) const;

  /// Reads everything and holds it against the checksums; returns the ids of utterances that differ. Not through the
  /// mapping, where a disk that fails ends the process: throws FileError if it cannot be read, or is not the file any
  /// more that was opened.
  std::vector<std::string> verify() const;

  /// The whole file.
  std::string_view bytes() const { return {file_->data(), file_->size_bytes()}; }

 private:
  /// Bytes of the file from an offset on, good until the next call.
  using Source = std::function<const char*(std::int64_t offset, std::int64_t length)>;
  void read_sidecar(const OpenFile& file);
  void read_tables(const std::vector<Tap>& taps);
  ShardTap read_tap(const hdf5::Id& file, const Tap& tap) const;
  at::Tensor inflated(const ShardTap& tap, std::size_t utterance, at::ScalarType dtype, const Source& source) const;
  at::Tensor view(std::int64_t offset_bytes, at::IntArrayRef shape, at::ScalarType dtype) const;
  bool is_whole(std::size_t tap, std::size_t utterance, const Source& source) const;
  /// Has bytes read from disk unless they are in memory; looking costs a fraction of what asking does.
  void bring(const ByteRange& range) const;

  std::filesystem::path path_;
  hdf5::StoredType type_;
  std::shared_ptr<const MappedFile> file_;
  OpenFile::Identity identity_;
  std::int64_t size_bytes_ = 0;
  bool knows_what_is_in_memory_ = false;
  std::vector<std::string> ids_;
  std::vector<std::int64_t> samples_;
  std::vector<FailedUtterance> failed_;
  std::optional<ShardOrigin> origin_;
  std::vector<ShardTap> taps_;
};

/// shard-00000.h5 -> shard-00000.json
std::filesystem::path sidecar_path(const std::filesystem::path& shard);

/// What the sidecar of a shard says that it belongs to; nothing if it does not say, or cannot be read.
std::optional<ShardOrigin> origin_in_sidecar(const std::filesystem::path& shard);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/file.h"

namespace strata {

/// One decoded utterance on its way into a file.
struct PcmUtterance {
  std::string id;
  std::vector<std::int16_t> samples;  // 16 kHz mono
};

/// One that could not be decoded.
struct UndecodedUtterance {
  std::string id;
  std::string reason;
};

/// Full scale 1 to 16 bits: round(32768 x), to the nearest, ties to even, cut to what 16 bits hold.
std::vector<std::int16_t> to_pcm(const std::vector<float>& samples);

/// Writes `path` (pcm-00000.h5) and its sidecar (pcm-00000.json): beside, flushed, renamed; the sidecar first, so that
/// a file that is there is whole. Equal content gives equal bytes. Layout, plain HDF5:
///   /samples                             int16 [sum of all], contiguous
///   /utterances/{id, first, count, checksum}  fixed-length UTF-8, int64, int64, XXH3-64 of the utterance's samples
/// Throws DataError (full disk, no permission).
void write_pcm_shard(const std::filesystem::path& path, const std::vector<PcmUtterance>& utterances,
                     const std::vector<UndecodedUtterance>& failed);

/// Such a file, mapped: HDF5 tells where the samples are and is then closed. The tables are held against the sidecar's
/// checksum before HDF5 sees the file, every utterance against its own whenever it is read. Immutable, thread-safe.
class PcmShard {
 public:
  /// Throws DataError that names the file and what is wrong.
  explicit PcmShard(std::filesystem::path path);

  const std::vector<std::string>& ids() const { return ids_; }
  std::int64_t samples(std::size_t utterance) const { return count_.at(utterance); }
  const std::vector<UndecodedUtterance>& failed() const { return failed_; }

  /// Samples `from` to `from` + `length` of an utterance: [length] float32, value / 32768.
  /// Throws DataError if the utterance is damaged.
  at::Tensor wave(std::size_t utterance, std::int64_t from, std::int64_t length) const;

 private:
  void read_sidecar();
  void read_tables();

  std::filesystem::path path_;
  MappedFile file_;
  std::int64_t offset_bytes_ = 0;  // of /samples
  std::int64_t rows_ = 0;          // samples in all
  std::vector<std::string> ids_;
  std::vector<std::int64_t> first_, count_;
  std::vector<std::uint64_t> checksum_;
  std::vector<UndecodedUtterance> failed_;
};

}  // namespace strata

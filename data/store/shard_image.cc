#include "data/store/shard_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <span>

#include "core/base/error.h"
#include "data/store/blosc.h"
#include "data/store/checksum.h"
#include "data/store/chunk.h"
#include "data/store/int8.h"

namespace strata {
namespace {

constexpr std::int64_t kChunkBytes = 128 << 10;
constexpr std::size_t kTableBytes = 1 << 20;  // more than most shards have beside their frames

/// One tap of a shard as it is written.
struct PackedTap {
  std::vector<std::int64_t> first, count;
  std::vector<std::uint64_t> checksum;
  std::int64_t rows = 0;
  std::vector<at::Tensor> frames;   // empty if there are chunks
  std::vector<at::Tensor> scale;    // of int8
  std::int64_t chunk_rows = 0;      // 0: not compressed
  std::vector<std::string> chunks;  // compressed
};

/// Appends what is to be stored; returns its checksum.
std::uint64_t pack(const at::Tensor& features, const at::Tensor& scale, hdf5::StoredType type, PackedTap& tap) {
  Checksum checksum;
  if (type != hdf5::StoredType::kInt8) {
    tap.frames.push_back(features);
  } else {
    const Int8Frames frames = scale.defined() ? Int8Frames{features, scale} : to_int8(features);
    tap.frames.push_back(frames.values);
    tap.scale.push_back(frames.scale);
  }
  checksum.add(tap.frames.back());
  if (type == hdf5::StoredType::kInt8) checksum.add(tap.scale.back());
  return checksum.value();
}

void compress(std::int64_t width, hdf5::StoredType type, hdf5::Compression compression, PackedTap& tap) {
  const auto pack_chunk = compression == hdf5::Compression::kBlosc ? blosc_chunk : deflate_chunk;
  const std::int64_t row_bytes = width * hdf5::bytes_of(type);
  const std::int64_t most =
      (tap.rows + hdf5::kMaxChunks - 1) / hdf5::kMaxChunks;  // rows, so that there are not too many chunks
  tap.chunk_rows = std::min(tap.rows, std::max({(kChunkBytes + row_bytes - 1) / row_bytes, most, std::int64_t{1}}));
  const std::int64_t chunk_bytes = tap.chunk_rows * row_bytes;
  std::vector<char> chunk;
  const auto finish = [&] {
    chunk.resize(static_cast<std::size_t>(chunk_bytes));  // the last is filled up with zeros
    tap.chunks.push_back(pack_chunk(chunk, hdf5::bytes_of(type)));
    chunk.clear();
  };
  for (const at::Tensor& frames : tap.frames) {
    const auto* from = static_cast<const char*>(frames.const_data_ptr());
    for (const char* const end = from + frames.nbytes(); from != end;) {
      const std::int64_t room = chunk_bytes - static_cast<std::int64_t>(chunk.size());
      const std::int64_t taken = std::min<std::int64_t>(room, end - from);
      chunk.insert(chunk.end(), from, from + taken);
      from += taken;
      if (taken == room) finish();
    }
  }
  if (!chunk.empty()) finish();
  tap.frames.clear();
}

PackedTap pack_tap(std::size_t index, std::int64_t width, hdf5::StoredType type,
                   const std::vector<ShardUtterance>& utterances, hdf5::Compression compression,
                   const std::string& place) {
  PackedTap tap;
  for (const ShardUtterance& utterance : utterances) {
    const at::Tensor& features = utterance.features.at(index);
    const at::Tensor scale = utterance.scales.empty() ? at::Tensor() : utterance.scales.at(index);
    const at::ScalarType expected = type == hdf5::StoredType::kInt8 && scale.defined() ? at::kChar : scalar_type(type);
    if (features.dim() != 2 || features.size(1) != width || features.scalar_type() != expected ||
        !features.is_contiguous()) {
      throw InternalError(
          fmt::format("{}: utterance {} has features of another shape or type than the store", place, utterance.id));
    }
    tap.first.push_back(tap.rows);
    tap.count.push_back(features.size(0));
    tap.checksum.push_back(pack(features, scale, type, tap));
    tap.rows += features.size(0);
  }
  if (compression != hdf5::Compression::kNone && tap.rows > 0) compress(width, type, compression, tap);
  return tap;
}

/// Of all frames and scales.
std::size_t packed_bytes(const std::vector<PackedTap>& taps) {
  std::size_t bytes = 0;
  for (const PackedTap& tap : taps) {
    for (const at::Tensor& frames : tap.frames) bytes += frames.nbytes();
    for (const at::Tensor& scale : tap.scale) bytes += scale.nbytes();
    for (const std::string& chunk : tap.chunks) bytes += chunk.size();
  }
  return bytes;
}

void write_tap(const hdf5::Id& group, std::int64_t width, hdf5::StoredType type, hdf5::Compression compression,
               const PackedTap& tap, const std::string& place) {
  const hdf5::Id element = hdf5::make_type(type);
  if (tap.chunk_rows > 0) {
    hdf5::write_chunks(group, "frames", element, tap.rows, width, tap.chunk_rows, compression, tap.chunks, place);
  } else {
    hdf5::reserve_dataset(group, "frames", element, {static_cast<hsize_t>(tap.rows), static_cast<hsize_t>(width)},
                          place);
  }
  if (type == hdf5::StoredType::kInt8) {
    hdf5::reserve_dataset(group, "scale", hdf5::make_type(hdf5::StoredType::kFloat32), {static_cast<hsize_t>(tap.rows)},
                          place);
  }
  hdf5::write_int64s(group, "first", tap.first, place);
  hdf5::write_int64s(group, "count", tap.count, place);
  hdf5::write_uint64s(group, "checksum", tap.checksum, place);
}

void write_tables(const hdf5::Id& file, const std::vector<Tap>& taps, hdf5::StoredType type,
                  hdf5::Compression compression, const std::vector<ShardUtterance>& utterances,
                  const std::vector<PackedTap>& packed, const std::string& place) {
  const hdf5::Id table = hdf5::create_group(file, "utterances", place);
  std::vector<std::string> ids;
  std::vector<std::int64_t> samples;
  for (const ShardUtterance& utterance : utterances) {
    ids.push_back(utterance.id);
    samples.push_back(utterance.samples);
  }
  hdf5::write_texts(table, "id", ids, place);
  hdf5::write_int64s(table, "samples", samples, place);
  const hdf5::Id all = hdf5::create_group(file, "taps", place);
  for (std::size_t t = 0; t < taps.size(); ++t) {
    const hdf5::Id group = hdf5::create_group(all, taps[t].name, place);
    hdf5::write_attribute(group, "hop_samples", taps[t].hop_samples, place);
    write_tap(group, taps[t].width, type, compression, packed[t], place);
  }
}

void add_frames(const hdf5::Extent& extent, std::int64_t element_bytes, std::vector<at::Tensor> values,
                std::vector<FrameData>& frames) {
  for (const hdf5::ChunkPlace& chunk : extent.chunks) frames.push_back({{chunk.offset_bytes, chunk.size_bytes}, {}});
  if (extent.chunk_rows == 0 && extent.rows > 0)
    frames.push_back({{extent.offset_bytes, extent.rows * extent.columns * element_bytes}, std::move(values)});
}

}  // namespace

ShardImage::~ShardImage() {
  const std::lock_guard lock(hdf5::library_lock());
  file = hdf5::Id();
}

ShardImage make_image(const std::string& place, const std::vector<Tap>& taps, hdf5::StoredType type,
                      const std::vector<ShardUtterance>& utterances, hdf5::Compression compression) {
  std::vector<PackedTap> packed;
  for (std::size_t t = 0; t < taps.size(); ++t)
    packed.push_back(pack_tap(t, taps[t].width, type, utterances, compression, place));
  ShardImage image;  // before the lock, which it takes when it goes
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  image.file = hdf5::create_image(place, packed_bytes(packed) + kTableBytes);
  write_tables(image.file, taps, type, compression, utterances, packed, place);
  image.bytes = hdf5::bytes_of_image(image.file, place);
  for (std::size_t t = 0; t < taps.size(); ++t) {
    const std::string group = "taps/" + taps[t].name;
    add_frames(hdf5::locate(image.file, group + "/frames", type, place), hdf5::bytes_of(type), packed[t].frames,
               image.frames);
    if (type != hdf5::StoredType::kInt8) continue;
    add_frames(hdf5::locate_floats(image.file, group + "/scale", place), sizeof(float), packed[t].scale, image.frames);
  }
  std::ranges::sort(image.frames, {}, [](const FrameData& data) { return data.range.offset; });
  return image;
}

}  // namespace strata

#include "data/store/shard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"

namespace strata {
namespace {

struct ByteRange {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

/// XXH3-64 over all bytes of a file but those in `frames` (sorted by offset, not overlapping).
std::uint64_t checksum_outside(std::int64_t size, const std::vector<ByteRange>& frames, const char* bytes) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  const auto add = [&](std::int64_t from, std::int64_t to) {
    if (from < to) XXH3_64bits_update(state.get(), bytes + from, static_cast<std::size_t>(to - from));
  };
  std::int64_t position = 0;
  for (const ByteRange& range : frames) {
    add(position, range.offset);
    position = range.offset + range.length;
  }
  add(position, size);
  return XXH3_64bits_digest(state.get());
}

std::span<const std::byte> bytes_of_tensor(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void write_tap(const hdf5::Id& group, std::size_t tap, std::int64_t width, hdf5::StoredType type,
               const std::vector<ShardUtterance>& utterances, const std::string& place) {
  std::vector<std::int64_t> first, count;
  std::vector<std::uint64_t> checksum;
  std::int64_t rows = 0;
  std::size_t bytes_of_tap = 0;
  for (const ShardUtterance& utterance : utterances) bytes_of_tap += utterance.features.at(tap).nbytes();
  std::vector<char> packed;
  packed.reserve(bytes_of_tap);
  for (const ShardUtterance& utterance : utterances) {
    const at::Tensor& features = utterance.features.at(tap);
    if (features.dim() != 2 || features.size(1) != width || features.scalar_type() != scalar_type(type) || !features.is_contiguous()) {
      throw InternalError(fmt::format("{}: utterance {} has features of another shape or type than the store", place, utterance.id));
    }
    const auto bytes = bytes_of_tensor(features);
    first.push_back(rows);
    count.push_back(features.size(0));
    checksum.push_back(xxh3(bytes));
    rows += features.size(0);
    packed.insert(packed.end(), reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<const char*>(bytes.data() + bytes.size()));
  }
  hdf5::write_dataset(group, "frames", hdf5::make_type(type), {static_cast<hsize_t>(rows), static_cast<hsize_t>(width)}, packed.data(), place);
  hdf5::write_int64s(group, "first", first, place);
  hdf5::write_int64s(group, "count", count, place);
  hdf5::write_uint64s(group, "checksum", checksum, place);
}

void write_tables(const hdf5::Id& file, const std::vector<Tap>& taps, hdf5::StoredType type, const std::vector<ShardUtterance>& utterances,
                  const std::string& place) {
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
    write_tap(group, t, taps[t].width, type, utterances, place);
  }
}

/// The bytes of a shard and where its frames are in them.
struct ShardImage {
  hdf5::Id file;  // holds the bytes
  std::string_view bytes;
  std::vector<ByteRange> frames;  // by offset

  ShardImage() = default;
  ShardImage(ShardImage&&) = default;
  ~ShardImage() {
    const std::lock_guard lock(hdf5::library_lock());
    file = hdf5::Id();
  }
};

/// Of all frames together.
std::size_t frame_bytes(const std::vector<ShardUtterance>& utterances) {
  std::size_t bytes = 0;
  for (const ShardUtterance& utterance : utterances) {
    for (const at::Tensor& features : utterance.features) bytes += features.nbytes();
  }
  return bytes;
}

ShardImage make_image(const std::string& place, const std::vector<Tap>& taps, hdf5::StoredType type, const std::vector<ShardUtterance>& utterances) {
  constexpr std::size_t kTableBytes = 1 << 20;  // more than most have
  ShardImage image;  // before the lock, which it takes when it goes
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  image.file = hdf5::create_image(place, frame_bytes(utterances) + kTableBytes);
  write_tables(image.file, taps, type, utterances, place);
  image.bytes = hdf5::bytes_of_image(image.file, place);
  for (const Tap& tap : taps) {
    const hdf5::Extent extent = hdf5::locate(image.file, "taps/" + tap.name + "/frames", type, place);
    if (extent.rows > 0) image.frames.push_back({extent.offset_bytes, extent.rows * extent.columns * hdf5::bytes_of(type)});
  }
  std::sort(image.frames.begin(), image.frames.end(), [](const ByteRange& a, const ByteRange& b) { return a.offset < b.offset; });
  return image;
}

Json make_sidecar(const ShardImage& image, const std::vector<FailedUtterance>& failed) {
  const auto size = static_cast<std::int64_t>(image.bytes.size());
  const std::uint64_t checksum = checksum_outside(size, image.frames, image.bytes.data());
  Json sidecar = {{"size_bytes", size}, {"checksum", fmt::format("{:016x}", checksum)}, {"frame_data", Json::array()}, {"failed", Json::array()}};
  for (const ByteRange& range : image.frames) sidecar["frame_data"].push_back({range.offset, range.length});
  for (const FailedUtterance& f : failed) sidecar["failed"].push_back({{"id", f.id}, {"reason", f.reason}});
  return sidecar;
}

}  // namespace

at::ScalarType scalar_type(hdf5::StoredType type) {
  return type == hdf5::StoredType::kFloat32 ? at::kFloat : type == hdf5::StoredType::kFloat16 ? at::kHalf : at::kBFloat16;
}

fs::path sidecar_path(const fs::path& shard) { return fs::path(shard).replace_extension(".json"); }

void write_shard(const fs::path& path, const std::vector<Tap>& taps, hdf5::StoredType type,
                 const std::vector<ShardUtterance>& utterances, const std::vector<FailedUtterance>& failed) {
  const ShardImage image = make_image(path.string(), taps, type, utterances);
  write_file_atomically(sidecar_path(path), make_sidecar(image, failed).dump(1) + "\n");
  try {
    write_file_atomically(path, image.bytes);
  } catch (...) {
    // It may have its name already and only the folder could not be flushed: it goes first, or it would lack its sidecar.
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) ::unlink(sidecar_path(path).c_str());
    throw;
  }
}

ShardReader::ShardReader(fs::path path, const std::vector<Tap>& taps, hdf5::StoredType type)
    : path_(std::move(path)), type_(type), file_(std::make_shared<MappedFile>(path_)), size_bytes_(static_cast<std::int64_t>(file_->size_bytes())) {
  read_sidecar();
  read_tables(taps);
}

void ShardReader::read_sidecar() {
  const fs::path path = sidecar_path(path_);
  try {
    const Json sidecar = Json::parse(read_file(path));
    const std::int64_t size = sidecar.at("size_bytes");
    if (size != size_bytes_) {
      throw DataError(fmt::format("{}: it has {} bytes, expected {}; it is truncated or was changed. `strata verify --repair` removes it, `strata extract` fills the hole",
                                  path_.string(), size_bytes_, size));
    }
    std::vector<ByteRange> frames;
    std::int64_t position = 0;
    for (const Json& range : sidecar.at("frame_data")) {
      frames.push_back({range.at(0), range.at(1)});
      if (frames.back().offset < position || frames.back().length < 0 || frames.back().length > size - frames.back().offset) {
        throw DataError(fmt::format("{}: its ranges of frame data do not lie in the file", path.string()));
      }
      position = frames.back().offset + frames.back().length;
    }
    const std::uint64_t checksum = checksum_outside(size_bytes_, frames, file_->data());
    const std::string found = fmt::format("{:016x}", checksum);
    if (found != sidecar.at("checksum").get<std::string>()) {
      throw DataError(fmt::format("{}: its tables do not have the checksum that {} gives; the file is damaged. `strata verify --repair` removes it, `strata extract` fills the hole",
                                  path_.string(), path.filename().string()));
    }
    for (const Json& f : sidecar.at("failed")) failed_.push_back({f.at("id"), f.at("reason")});
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid sidecar of a shard: {}", path.string(), e.what()));
  }
}

void ShardReader::read_tables(const std::vector<Tap>& taps) {
  const std::string place = path_.string();
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  const hdf5::Id file = hdf5::open_file(path_);
  ids_ = hdf5::read_texts(file, "utterances/id", place);
  samples_ = hdf5::read_int64s(file, "utterances/samples", place);
  if (samples_.size() != ids_.size()) throw DataError(fmt::format("{}: {} ids but {} sample counts", place, ids_.size(), samples_.size()));
  for (const Tap& tap : taps) {
    const std::string group = "taps/" + tap.name;
    ShardTap t{hdf5::locate(file, group + "/frames", type_, place), hdf5::read_int64s(file, group + "/first", place),
               hdf5::read_int64s(file, group + "/count", place), hdf5::read_uint64s(file, group + "/checksum", place)};
    if (t.frames.columns != tap.width) {
      throw DataError(fmt::format("{} \"/{}/frames\": expected [*, {}], found [*, {}]", place, group, tap.width, t.frames.columns));
    }
    const std::int64_t row_bytes = tap.width * hdf5::bytes_of(type_);
    bool good = t.first.size() == ids_.size() && t.count.size() == ids_.size() && t.checksum.size() == ids_.size() &&
                t.frames.rows >= 0 && t.frames.offset_bytes >= 0 && t.frames.rows <= size_bytes_ / row_bytes && t.frames.offset_bytes <= size_bytes_ - t.frames.rows * row_bytes;
    for (std::size_t i = 0; good && i < ids_.size(); ++i) {
      good = t.first[i] >= 0 && t.count[i] >= 0 && t.first[i] <= t.frames.rows && t.count[i] <= t.frames.rows - t.first[i];
    }
    if (!good) throw DataError(fmt::format("{} \"/{}\": its tables point outside its frames", place, group));
    taps_.push_back(std::move(t));
  }
}

at::Tensor ShardReader::read(std::size_t tap, std::size_t utterance) const {
  const ShardTap& t = taps_.at(tap);
  const std::int64_t row_bytes = t.frames.columns * hdf5::bytes_of(type_);
  const char* from = file_->data() + t.frames.offset_bytes + t.first.at(utterance) * row_bytes;
  const at::TensorOptions options(scalar_type(type_));
  if (t.frames.offset_bytes % hdf5::bytes_of(type_) != 0) {  // HDF5 does not promise alignment; our writer asks for it
    const at::Tensor copy = at::empty({t.count[utterance], t.frames.columns}, options);
    std::memcpy(copy.mutable_data_ptr(), from, copy.nbytes());
    return copy;
  }
  return at::from_blob(const_cast<char*>(from), {t.count[utterance], t.frames.columns}, [file = file_](void*) {}, options);
}

void ShardReader::prefetch(std::size_t tap, std::size_t utterance) const {
  const ShardTap& t = taps_.at(tap);
  const std::int64_t row_bytes = t.frames.columns * hdf5::bytes_of(type_);
  const std::int64_t from = t.frames.offset_bytes + t.first.at(utterance) * row_bytes;
  const std::int64_t page = from - from % ::sysconf(_SC_PAGESIZE);
  // Advice: where it cannot be followed the frames are read when they are touched.
  ::madvise(const_cast<char*>(file_->data() + page), static_cast<std::size_t>(from - page + t.count[utterance] * row_bytes), MADV_WILLNEED);
}

std::vector<std::string> ShardReader::verify() const {
  std::vector<std::string> damaged;
  for (std::size_t u = 0; u < ids_.size(); ++u) {
    bool good = true;
    for (std::size_t t = 0; t < taps_.size(); ++t) good = good && xxh3(bytes_of_tensor(read(t, u))) == taps_[t].checksum[u];
    if (!good) damaged.push_back(ids_[u]);
  }
  return damaged;
}

}  // namespace strata

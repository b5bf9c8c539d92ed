#include "data/store/shard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/file_group.h"
#include "data/store/blosc.h"
#include "data/store/checksum.h"
#include "data/store/chunk.h"
#include "data/store/int8.h"
#include "data/store/pages.h"
#include "data/store/shard_image.h"

namespace strata {
namespace {

/// The tables: all of a file but `frames` (sorted by offset, not overlapping).
std::vector<ByteRange> outside(std::int64_t size, const std::vector<ByteRange>& frames) {
  std::vector<ByteRange> tables;
  std::int64_t position = 0;
  for (const ByteRange& range : frames) {
    if (position < range.offset) tables.push_back({position, range.offset - position});
    position = range.offset + range.length;
  }
  if (position < size) tables.push_back({position, size - position});
  return tables;
}

std::uint64_t checksum_of(const std::vector<ByteRange>& ranges, const char* bytes) {
  Checksum checksum;
  for (const ByteRange& range : ranges)
    checksum.add(std::as_bytes(std::span(bytes + range.offset, static_cast<std::size_t>(range.length))));
  return checksum.value();
}

/// Tables of a file, which is read and not mapped, lest a disk that fails ends the process.
std::uint64_t checksum_of(const std::vector<ByteRange>& ranges, const OpenFile& file) {
  constexpr std::int64_t kMost = 1 << 20;
  Checksum checksum;
  std::vector<char> buffer;
  for (const ByteRange& range : ranges) {
    for (std::int64_t at = 0; at < range.length; at += static_cast<std::int64_t>(buffer.size())) {
      buffer.resize(static_cast<std::size_t>(std::min(kMost, range.length - at)));
      file.read(range.offset + at, buffer);
      checksum.add(std::as_bytes(std::span(buffer)));
    }
  }
  return checksum.value();
}

bool lies_in(std::int64_t offset, std::int64_t rows, std::int64_t row_bytes, std::int64_t size_bytes) {
  return offset >= 0 && rows >= 0 && rows <= size_bytes / row_bytes && offset <= size_bytes - rows * row_bytes;
}

/// True if the frames lie in the file; of compressed ones, also if they do not come to more than their chunks can give.
bool frames_fit(const hdf5::Extent& frames, std::int64_t row_bytes, std::int64_t size_bytes) {
  if (frames.chunk_rows == 0) return lies_in(frames.offset_bytes, frames.rows, row_bytes, size_bytes);
  const std::int64_t most = frames.compression == hdf5::Compression::kBlosc ? kMaxBloscInflation : kMaxInflation;
  std::int64_t left = size_bytes;  // chunks do not overlap, so that they are no longer than the file together
  for (const hdf5::ChunkPlace& chunk : frames.chunks) {
    if (!lies_in(chunk.offset_bytes, chunk.size_bytes, 1, size_bytes) || chunk.size_bytes > left) return false;
    if (frames.chunk_rows > chunk.size_bytes * most / row_bytes) return false;
    left -= chunk.size_bytes;
  }
  return true;
}

std::vector<ByteRange> ranges_of(const ShardImage& image) {
  std::vector<ByteRange> ranges;
  for (const FrameData& data : image.frames) ranges.push_back(data.range);
  return ranges;
}

std::string checksum_of(const ShardOrigin& origin) {
  const std::string text = fmt::format("{}\n{}\n{}", origin.fingerprint, origin.corpus, origin.shard);
  Checksum checksum;
  checksum.add(std::as_bytes(std::span(text)));
  return fmt::format("{:016x}", checksum.value());
}

/// Throws Json::exception if it is of another form.
ShardOrigin read_origin(const Json& record, const fs::path& sidecar) {
  ShardOrigin origin{record.at("fingerprint"), record.at("corpus"), record.at("shard")};
  if (checksum_of(origin) != record.at("checksum").get<std::string>()) {
    throw DataError(
        fmt::format("{}: what it says that the shard belongs to does not have its checksum; the file is "
                    "damaged. `strata verify --repair` removes it, `strata extract` fills the hole",
                    sidecar.string()));
  }
  return origin;
}

FileError replaced(const fs::path& path) {
  return FileError(fmt::format("{}: another file was put in its place while it was read; run the same command again",
                               path.string()));
}

void check_origin(const fs::path& path, const ShardOrigin& found, const ShardOrigin& expected) {
  if (found == expected) return;
  const std::string fingerprint = printable(found.fingerprint.substr(0, 12));
  const std::string upstream = found.fingerprint == expected.fingerprint
                                   ? "this upstream"
                                   : fmt::format("another upstream (fingerprint {})", fingerprint);
  throw DataError(
      fmt::format("{}: it is {} of the corpus \"{}\" of {}, which does not belong here; `strata verify "
                  "--repair` removes it, `strata extract` fills the hole",
                  path.string(), printable(found.shard), printable(found.corpus), upstream));
}

Json make_sidecar(const ShardImage& image, const std::vector<FailedUtterance>& failed,
                  const std::optional<ShardOrigin>& origin) {
  const auto size = static_cast<std::int64_t>(image.bytes.size());
  const std::uint64_t checksum = checksum_of(outside(size, ranges_of(image)), image.bytes.data());
  Json sidecar = {{"size_bytes", size},
                  {"checksum", fmt::format("{:016x}", checksum)},
                  {"frame_data", Json::array()},
                  {"failed", Json::array()}};
  for (const ByteRange& range : ranges_of(image)) sidecar["frame_data"].push_back({range.offset, range.length});
  for (const FailedUtterance& f : failed) sidecar["failed"].push_back({{"id", f.id}, {"reason", f.reason}});
  if (origin) {
    sidecar["belongs_to"] = {{"fingerprint", origin->fingerprint},
                             {"corpus", origin->corpus},
                             {"shard", origin->shard},
                             {"checksum", checksum_of(*origin)}};
  }
  return sidecar;
}

/// The file: the image, with the frames where they belong.
std::vector<std::string_view> pieces_of(const ShardImage& image) {
  std::vector<std::string_view> pieces;
  std::size_t position = 0;
  for (const FrameData& data : image.frames) {
    const auto offset = static_cast<std::size_t>(data.range.offset);
    pieces.push_back(image.bytes.substr(position, offset - position));
    for (const at::Tensor& tensor : data.values)
      pieces.emplace_back(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
    position = offset + static_cast<std::size_t>(data.values.empty() ? 0 : data.range.length);
  }
  pieces.push_back(image.bytes.substr(position));
  return pieces;
}

}  // namespace

fs::path sidecar_path(const fs::path& shard) { return fs::path(shard).replace_extension(".json"); }

void write_shard(const fs::path& path, const std::vector<Tap>& taps, hdf5::StoredType type,
                 const std::vector<ShardUtterance>& utterances, const std::vector<FailedUtterance>& failed,
                 hdf5::Compression compression, const std::optional<ShardOrigin>& origin) {
  const ShardImage image = make_image(path.string(), taps, type, utterances, compression);
  const std::string sidecar = make_sidecar(image, failed, origin).dump(1) + "\n";
  try {
    write_files_atomically({{sidecar_path(path), {sidecar}}, {path, pieces_of(image)}});
  } catch (...) {
    // It may have its name already and only the folder could not be flushed: it goes first, or it would lack its
    // sidecar.
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) ::unlink(sidecar_path(path).c_str());
    throw;
  }
}

std::optional<ShardOrigin> origin_in_sidecar(const fs::path& shard) {
  const fs::path path = sidecar_path(shard);
  try {
    return read_origin(read_json(path).at("belongs_to"), path);
  } catch (const Json::exception&) {
  } catch (const Error&) {
  }
  return std::nullopt;
}

ShardReader::ShardReader(fs::path path, const std::vector<Tap>& taps, hdf5::StoredType type,
                         const std::optional<ShardOrigin>& expected)
    : path_(std::move(path)), type_(type) {
  const OpenFile file(path_);
  file_ = std::make_shared<MappedFile>(file);
  identity_ = file.identity();
  size_bytes_ = static_cast<std::int64_t>(file.size_bytes());
  // Around a page that is missing the system reads up to megabytes; tables lie between the frames, so that whoever
  // opens a store would read it whole. What is needed is asked for instead.
  advise(*file_, {0, size_bytes_}, MADV_RANDOM);
  knows_what_is_in_memory_ = tells_what_is_in_memory(path_);
  read_sidecar(file);
  if (expected && origin_) check_origin(path_, *origin_, *expected);
  read_tables(taps);
  if (compression() == hdf5::Compression::kBlosc) require_blosc(path_.string());
}

void ShardReader::read_sidecar(const OpenFile& file) {
  const fs::path path = sidecar_path(path_);
  std::error_code unknown;
  if (!fs::exists(path, unknown) && !unknown) {
    throw DataError(
        fmt::format("{}: its sidecar {} is not there; `strata verify --repair` removes it, `strata extract` "
                    "fills the hole",
                    path_.string(), path.filename().string()));
  }
  try {
    const Json sidecar = Json::parse(read_file(path));
    const std::int64_t size = sidecar.at("size_bytes");
    if (size != size_bytes_) {
      throw DataError(
          fmt::format("{}: it has {} bytes, expected {}; it is truncated or was changed. `strata verify --repair` "
                      "removes it, `strata extract` fills the hole",
                      path_.string(), size_bytes_, size));
    }
    std::vector<ByteRange> frames;
    std::int64_t position = 0;
    for (const Json& range : sidecar.at("frame_data")) {
      frames.push_back({range.at(0), range.at(1)});
      if (frames.back().offset < position || frames.back().length < 0 ||
          frames.back().length > size - frames.back().offset) {
        throw DataError(fmt::format("{}: its ranges of frame data do not lie in the file", path.string()));
      }
      position = frames.back().offset + frames.back().length;
    }
    const std::vector<ByteRange> tables = outside(size_bytes_, frames);
    for (const ByteRange& range : tables) ask_for(*file_, range);
    const std::string found = fmt::format("{:016x}", checksum_of(tables, file));
    if (found != sidecar.at("checksum").get<std::string>()) {
      throw DataError(
          fmt::format("{}: its tables do not have the checksum that {} gives; the file is damaged. `strata verify "
                      "--repair` removes it, `strata extract` fills the hole",
                      path_.string(), path.filename().string()));
    }
    for (const Json& f : sidecar.at("failed")) failed_.push_back({f.at("id"), f.at("reason")});
    if (sidecar.contains("belongs_to")) origin_ = read_origin(sidecar.at("belongs_to"), path);
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid sidecar of a shard: {}", path.string(), e.what()));
  }
}

void ShardReader::read_tables(const std::vector<Tap>& taps) {
  const std::string place = path_.string();
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  const hdf5::Id file = hdf5::open_file(path_);
  struct stat status {};
  if (::fstat(hdf5::descriptor_of(file, place), &status) != 0 ||
      OpenFile::Identity(status.st_dev, status.st_ino) != identity_)
    throw replaced(path_);
  ids_ = hdf5::read_texts(file, "utterances/id", place);
  samples_ = hdf5::read_int64s(file, "utterances/samples", place);
  if (samples_.size() != ids_.size())
    throw DataError(fmt::format("{}: {} ids but {} sample counts", place, ids_.size(), samples_.size()));
  for (const Tap& tap : taps) taps_.push_back(read_tap(file, tap));
}

ShardTap ShardReader::read_tap(const hdf5::Id& file, const Tap& tap) const {
  const std::string place = path_.string(), group = "taps/" + tap.name;
  const bool scaled = type_ == hdf5::StoredType::kInt8;
  ShardTap t{hdf5::locate(file, group + "/frames", type_, place),
             scaled ? hdf5::locate_floats(file, group + "/scale", place) : hdf5::Extent(),
             hdf5::read_int64s(file, group + "/first", place), hdf5::read_int64s(file, group + "/count", place),
             hdf5::read_uint64s(file, group + "/checksum", place)};
  if (t.frames.columns != tap.width) {
    throw DataError(
        fmt::format("{} \"/{}/frames\": expected [*, {}], found [*, {}]", place, group, tap.width, t.frames.columns));
  }
  const std::int64_t hop_samples = hdf5::read_attribute(file, group, "hop_samples", place);
  if (hop_samples != tap.hop_samples) {
    throw DataError(fmt::format("{} \"/{}\": expected a frame every {} samples, found one every {}", place, group,
                                tap.hop_samples, hop_samples));
  }
  bool good = t.first.size() == ids_.size() && t.count.size() == ids_.size() && t.checksum.size() == ids_.size() &&
              frames_fit(t.frames, tap.width * hdf5::bytes_of(type_), size_bytes_);
  if (scaled)
    good = good && t.scale.rows == t.frames.rows &&
           lies_in(t.scale.offset_bytes, t.scale.rows, sizeof(float), size_bytes_);
  for (std::size_t i = 0; good && i < ids_.size(); ++i) {
    good =
        t.first[i] >= 0 && t.count[i] >= 0 && t.first[i] <= t.frames.rows && t.count[i] <= t.frames.rows - t.first[i];
  }
  if (!good) throw DataError(fmt::format("{} \"/{}\": its tables point outside its frames", place, group));
  return t;
}

hdf5::Compression ShardReader::compression() const {
  hdf5::Compression found = hdf5::Compression::kNone;
  for (const ShardTap& tap : taps_) found = std::max(found, tap.frames.compression);
  return found;
}

at::Tensor ShardReader::view(std::int64_t offset_bytes, at::IntArrayRef shape, at::ScalarType dtype) const {
  const char* from = file_->data() + offset_bytes;
  if (offset_bytes % static_cast<std::int64_t>(at::elementSize(dtype)) !=
      0) {  // HDF5 does not promise alignment; our writer asks for it
    const at::Tensor copy = at::empty(shape, dtype);
    std::memcpy(copy.mutable_data_ptr(), from, copy.nbytes());
    return copy;
  }
  return at::from_blob(
      const_cast<char*>(from), shape, [file = file_](void*) {}, at::TensorOptions(dtype));
}

StoredFrames ShardReader::stored(std::size_t tap, std::size_t utterance) const {
  prefetch(tap, utterance);
  const ShardTap& t = taps_.at(tap);
  const bool scaled = type_ == hdf5::StoredType::kInt8;
  const at::ScalarType dtype = scaled ? at::kChar : scalar_type(type_);
  const std::int64_t first = t.first.at(utterance), count = t.count[utterance];
  StoredFrames frames;
  if (t.frames.chunk_rows > 0) {
    frames.values =
        inflated(t, utterance, dtype, [this](std::int64_t offset, std::int64_t) { return file_->data() + offset; });
  } else {
    frames.values = view(t.frames.offset_bytes + first * t.frames.columns * hdf5::bytes_of(type_),
                         {count, t.frames.columns}, dtype);
  }
  if (scaled)
    frames.scale = view(t.scale.offset_bytes + first * static_cast<std::int64_t>(sizeof(float)), {count}, at::kFloat);
  return frames;
}

at::Tensor ShardReader::inflated(const ShardTap& tap, std::size_t utterance, at::ScalarType dtype,
                                 const Source& source) const {
  const std::int64_t columns = tap.frames.columns, element_bytes = hdf5::bytes_of(type_),
                     row_bytes = columns * element_bytes;
  const std::int64_t first = tap.first[utterance], end = first + tap.count[utterance],
                     chunk_rows = tap.frames.chunk_rows;
  const at::Tensor frames = at::empty({end - first, columns}, dtype);
  auto* out = static_cast<char*>(frames.mutable_data_ptr());
  const auto unpack = tap.frames.compression == hdf5::Compression::kBlosc ? unblosc_chunk : inflate_chunk;
  for (std::int64_t row = first; row < end;) {
    const hdf5::ChunkPlace& chunk = tap.frames.chunks[static_cast<std::size_t>(row / chunk_rows)];
    const std::int64_t within = row % chunk_rows, rows = std::min(chunk_rows - within, end - row);
    const char* const stored = source(chunk.offset_bytes, chunk.size_bytes);
    try {
      unpack({stored, static_cast<std::size_t>(chunk.size_bytes)}, element_bytes, chunk_rows * columns,
             within * columns, {out, static_cast<std::size_t>(rows * row_bytes)});
    } catch (const DataError& e) {
      throw DataError(
          fmt::format("{}: utterance \"{}\": {}; the file is damaged. `strata verify --repair` removes it, `strata "
                      "extract` fills the hole",
                      path_.string(), ids_[utterance], e.what()));
    }
    out += rows * row_bytes;
    row += rows;
  }
  return frames;
}

at::Tensor ShardReader::read(std::size_t tap, std::size_t utterance) const {
  const StoredFrames frames = stored(tap, utterance);
  if (type_ != hdf5::StoredType::kInt8) return frames.values;
  const at::Tensor read = at::empty(frames.values.sizes(), at::kFloat);
  widen_int8(frames.values, frames.scale, read);
  return read;
}

void ShardReader::read_into(std::size_t tap, std::size_t utterance, const at::Tensor& out) const {
  const ShardTap& t = taps_.at(tap);
  const std::int64_t count = t.count.at(utterance);
  const at::ScalarType dtype = scalar_type(type_);
  const bool typed = out.scalar_type() == dtype || out.scalar_type() == at::kFloat;
  if (!typed || !out.is_cpu() || out.dim() != 2 || out.size(0) > count || out.size(1) != t.frames.columns ||
      out.stride(1) != 1) {
    throw ShapeError(fmt::format(
        "{}: utterance \"{}\": expected a buffer [{} or fewer, {}] {} on cpu with contiguous rows, found {} {} on {} "
        "with strides {}",
        path_.string(), ids_[utterance], count, t.frames.columns,
        dtype == at::kFloat ? "Float" : fmt::format("Float or {}", c10::toString(dtype)), out.sizes().vec(),
        c10::toString(out.scalar_type()), out.device().str(), out.strides().vec()));
  }
  const StoredFrames frames = stored(tap, utterance);
  if (type_ == hdf5::StoredType::kInt8) {
    widen_int8(frames.values, frames.scale, out);
  } else {
    out.copy_(frames.values.narrow(0, 0, out.size(0)));
  }
}

bool ShardReader::is_whole(std::size_t tap, std::size_t utterance, const Source& source) const {
  const ShardTap& t = taps_[tap];
  const bool scaled = type_ == hdf5::StoredType::kInt8;
  const std::int64_t first = t.first[utterance], count = t.count[utterance];
  Checksum checksum;
  const auto add = [&](const hdf5::Extent& extent, std::int64_t row_bytes) {
    const char* const bytes = source(extent.offset_bytes + first * row_bytes, count * row_bytes);
    checksum.add(std::as_bytes(std::span(bytes, static_cast<std::size_t>(count * row_bytes))));
  };
  if (t.frames.chunk_rows == 0) {
    add(t.frames, t.frames.columns * hdf5::bytes_of(type_));
  } else {
    try {
      checksum.add(inflated(t, utterance, scaled ? at::kChar : scalar_type(type_), source));
    } catch (const FileError&) {
      throw;
    } catch (const DataError&) {
      return false;  // a chunk that does not inflate
    }
  }
  if (scaled) add(t.scale, sizeof(float));
  return checksum.value() == t.checksum[utterance];
}

void ShardReader::bring(const ByteRange& range) const {
  if (!knows_what_is_in_memory_ || !is_in_memory(*file_, range)) ask_for(*file_, range);
}

void ShardReader::prefetch(std::size_t tap, std::size_t utterance) const {
  const ShardTap& t = taps_.at(tap);
  const std::int64_t first = t.first.at(utterance), end = first + t.count[utterance];
  if (first == end) return;
  if (t.frames.chunk_rows > 0) {
    for (std::int64_t c = first / t.frames.chunk_rows; c <= (end - 1) / t.frames.chunk_rows; ++c) {
      const hdf5::ChunkPlace& chunk = t.frames.chunks[static_cast<std::size_t>(c)];
      bring({chunk.offset_bytes, chunk.size_bytes});
    }
  } else {
    const std::int64_t row_bytes = t.frames.columns * hdf5::bytes_of(type_);
    bring({t.frames.offset_bytes + first * row_bytes, (end - first) * row_bytes});
  }
  if (type_ == hdf5::StoredType::kInt8) {
    const auto bytes = static_cast<std::int64_t>(sizeof(float));
    bring({t.scale.offset_bytes + first * bytes, (end - first) * bytes});
  }
}

std::vector<std::string> ShardReader::verify() const {
  const OpenFile file(path_);
  if (file.identity() != identity_) throw replaced(path_);
  std::vector<char> buffer;
  const Source source = [&](std::int64_t offset, std::int64_t length) {
    if (static_cast<std::int64_t>(buffer.size()) < length) buffer.resize(static_cast<std::size_t>(length));
    file.read(offset, {buffer.data(), static_cast<std::size_t>(length)});
    return buffer.data();
  };
  std::vector<std::string> damaged;
  for (std::size_t u = 0; u < ids_.size(); ++u) {
    bool good = true;
    for (std::size_t t = 0; u + 1 < ids_.size() && t < taps_.size(); ++t) prefetch(t, u + 1);
    for (std::size_t t = 0; t < taps_.size(); ++t) good = good && is_whole(t, u, source);
    if (!good) damaged.push_back(ids_[u]);
  }
  return damaged;
}

}  // namespace strata

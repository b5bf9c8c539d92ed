#include "data/speech/pcm_shard.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <span>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/config/json.h"
#include "data/store/hdf5.h"

namespace strata {
namespace {

constexpr double kFullScale = 32768;
constexpr const char* kMend = "remove it and its .json; `strata pretrain` makes it anew";

fs::path pcm_sidecar(const fs::path& shard) { return fs::path(shard).replace_extension(".json"); }

/// Of all bytes before and after the samples.
std::string checksum_of_tables(std::string_view bytes, std::size_t offset, std::size_t length) {
  const std::string_view after = bytes.substr(offset + length);
  return fmt::format("{:016x}{:016x}", xxh3(std::as_bytes(std::span(bytes.substr(0, offset)))),
                     xxh3(std::as_bytes(std::span(after))));
}

struct Tables {
  std::vector<std::string> ids;
  std::vector<std::int64_t> first, count;
  std::vector<std::uint64_t> checksum;
  std::vector<std::int16_t> samples;
};

Tables tables_of(const std::vector<PcmUtterance>& utterances) {
  Tables tables;
  std::size_t total = 0;
  for (const PcmUtterance& u : utterances) total += u.samples.size();
  tables.samples.reserve(total);
  for (const PcmUtterance& u : utterances) {
    tables.ids.push_back(u.id);
    tables.first.push_back(static_cast<std::int64_t>(tables.samples.size()));
    tables.count.push_back(static_cast<std::int64_t>(u.samples.size()));
    tables.checksum.push_back(xxh3(std::as_bytes(std::span(u.samples))));
    tables.samples.insert(tables.samples.end(), u.samples.begin(), u.samples.end());
  }
  return tables;
}

hdf5::Id make_pcm_image(const Tables& tables, const std::string& place) {
  constexpr std::size_t kRoomForTables = 1 << 20;
  hdf5::Id file = hdf5::create_image(place, tables.samples.size() * sizeof(std::int16_t) + kRoomForTables);
  hdf5::write_int16s(file, "samples", tables.samples, place);
  const hdf5::Id group = hdf5::create_group(file, "utterances", place);
  hdf5::write_texts(group, "id", tables.ids, place);
  hdf5::write_int64s(group, "first", tables.first, place);
  hdf5::write_int64s(group, "count", tables.count, place);
  hdf5::write_uint64s(group, "checksum", tables.checksum, place);
  return file;
}

}  // namespace

std::vector<std::int16_t> to_pcm(const std::vector<float>& samples) {
  std::vector<std::int16_t> pcm(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double value = std::nearbyint(kFullScale * static_cast<double>(samples[i]));
    pcm[i] = static_cast<std::int16_t>(std::clamp(value, -kFullScale, kFullScale - 1));
  }
  return pcm;
}

void write_pcm_shard(const fs::path& path, const std::vector<PcmUtterance>& utterances,
                     const std::vector<UndecodedUtterance>& failed) {
  const Tables tables = tables_of(utterances);
  const std::string place = path.string();
  std::string image;
  hdf5::Extent samples;
  {
    const std::lock_guard lock(hdf5::library_lock());
    hdf5::silence();
    const hdf5::Id file = make_pcm_image(tables, place);
    image = hdf5::bytes_of_image(file, place);
    samples = hdf5::locate_int16s(file, "samples", place);
  }
  const std::size_t offset = static_cast<std::size_t>(samples.offset_bytes);
  const std::size_t length = tables.samples.size() * sizeof(std::int16_t);
  Json sidecar = {{"size_bytes", image.size()},
                  {"sample_data", {offset, length}},
                  {"checksum", checksum_of_tables(image, offset, length)},
                  {"failed", Json::array()}};
  for (const UndecodedUtterance& f : failed) sidecar["failed"].push_back({{"id", f.id}, {"reason", f.reason}});
  write_file_atomically(pcm_sidecar(path), sidecar.dump(1) + "\n");
  write_file_atomically(path, image);
}

PcmShard::PcmShard(fs::path path) : path_(std::move(path)), file_(path_) {
  read_sidecar();
  read_tables();
}

void PcmShard::read_sidecar() {
  const fs::path path = pcm_sidecar(path_);
  try {
    const Json sidecar = Json::parse(read_file(path));
    const std::size_t size = sidecar.at("size_bytes");
    if (size != file_.size_bytes()) {
      throw DataError(fmt::format("{}: it has {} bytes, expected {}; it is truncated or was changed: {}",
                                  path_.string(), file_.size_bytes(), size, kMend));
    }
    const std::size_t offset = sidecar.at("sample_data").at(0), length = sidecar.at("sample_data").at(1);
    if (offset > size || length > size - offset)
      throw DataError(fmt::format("{}: its range of samples does not lie in the file", path.string()));
    if (checksum_of_tables({file_.data(), size}, offset, length) != sidecar.at("checksum").get<std::string>()) {
      throw DataError(fmt::format("{}: its tables do not have the checksum that {} gives; the file is damaged: {}",
                                  path_.string(), path.filename().string(), kMend));
    }
    for (const Json& f : sidecar.at("failed")) failed_.push_back({f.at("id"), f.at("reason")});
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid sidecar: {}", path.string(), e.what()));
  }
}

void PcmShard::read_tables() {
  const std::string place = path_.string();
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  const hdf5::Id file = hdf5::open_file(path_);
  const hdf5::Extent samples = hdf5::locate_int16s(file, "samples", place);
  offset_bytes_ = samples.offset_bytes;
  rows_ = samples.rows;
  ids_ = hdf5::read_texts(file, "utterances/id", place);
  first_ = hdf5::read_int64s(file, "utterances/first", place);
  count_ = hdf5::read_int64s(file, "utterances/count", place);
  checksum_ = hdf5::read_uint64s(file, "utterances/checksum", place);
  const auto size = static_cast<std::int64_t>(file_.size_bytes());
  const auto bytes = static_cast<std::int64_t>(sizeof(std::int16_t));
  bool good = first_.size() == ids_.size() && count_.size() == ids_.size() && checksum_.size() == ids_.size() &&
              offset_bytes_ >= 0 && offset_bytes_ <= size && rows_ <= (size - offset_bytes_) / bytes;
  for (std::size_t i = 0; good && i < ids_.size(); ++i) {
    good = first_[i] >= 0 && count_[i] >= 0 && first_[i] <= rows_ && count_[i] <= rows_ - first_[i];
  }
  if (!good) throw DataError(fmt::format("{}: its tables point outside its samples: {}", place, kMend));
}

at::Tensor PcmShard::wave(std::size_t utterance, std::int64_t from, std::int64_t length) const {
  const std::int64_t count = count_.at(utterance);
  if (from < 0 || length < 0 || from > count || length > count - from)
    throw InternalError(
        fmt::format("samples {} to {} of \"{}\", which has {}", from, from + length, ids_[utterance], count));
  const auto bytes = static_cast<std::int64_t>(sizeof(std::int16_t));
  const char* start = file_.data() + offset_bytes_ + first_[utterance] * bytes;
  if (xxh3(std::as_bytes(std::span(start, static_cast<std::size_t>(count * bytes)))) != checksum_[utterance]) {
    throw DataError(fmt::format("{}: utterance \"{}\" does not have its checksum; the file is damaged: {}",
                                path_.string(), ids_[utterance], kMend));
  }
  std::vector<std::int16_t> pcm(static_cast<std::size_t>(length));
  if (length > 0) std::memcpy(pcm.data(), start + from * bytes, pcm.size() * sizeof(std::int16_t));
  const at::Tensor wave = at::empty({length}, at::kFloat);
  std::transform(pcm.begin(), pcm.end(), wave.mutable_data_ptr<float>(),
                 [](std::int16_t value) { return static_cast<float>(value) / static_cast<float>(kFullScale); });
  return wave;
}

}  // namespace strata

#include "trainers/pretrain/units.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"
#include "data/store/corpus_features.h"
#include "data/store/hdf5.h"
#include "data/store/store.h"

namespace strata {
namespace {

constexpr std::int64_t kBlockFrames = 2048;  // computed together by k-means

std::size_t find_tap(const std::vector<Tap>& taps, const std::string& tap, const std::string& place) {
  std::vector<std::string> known;
  for (std::size_t t = 0; t < taps.size(); ++t) {
    if (taps[t].name == tap) return t;
    known.push_back(taps[t].name);
  }
  throw ConfigError(fmt::format("{}: there is no tap \"{}\"; it has {}", place, tap, fmt::join(known, ", ")));
}

/// True if a rank was asked to stop.
bool any_stops(const Communicator& ranks) {
  std::vector<std::int64_t> stop = {stop_requested() != 0 ? 1 : 0};
  ranks.all_reduce_max(std::span(stop));
  return stop[0] != 0;
}

/// What units are made from, utterance by utterance.
class Maker {
 public:
  Maker(const Speech& speech, const UnitSource& source, const UnitRequest& request, const Communicator& ranks,
        bool shown)
      : speech_(speech), source_(source), request_(request), ranks_(ranks), shown_(shown && ranks.rank() == 0) {}

  /// The frames of whole utterances, drawn from `train` until there are enough; of this rank's blocks, every
  /// world-size-th. `rows` are its own too.
  FrameBlocks blocks(const std::vector<std::size_t>& train) const {
    const std::vector<std::vector<std::size_t>> cut = cut_blocks(train);
    FrameBlocks blocks;
    blocks.width = source_.width;
    blocks.frames.resize(cut.size());
    blocks.rows.resize(cut.size(), 0);
    Progress progress("units: frames for k-means", static_cast<std::int64_t>(cut.size()), "blocks", shown_);
    for (std::size_t b = 0; b < cut.size() && stop_requested() == 0; ++b) {
      if (!is_mine(b)) continue;
      std::vector<at::Tensor> parts;
      for (const std::size_t u : cut[b]) parts.push_back(frames_of(u));
      blocks.frames[b] = at::cat(parts).contiguous();
      blocks.rows[b] = blocks.frames[b].size(0);
      progress.update(static_cast<std::int64_t>(b + 1));
    }
    return blocks;
  }

  /// The labels of every world-size-th utterance: of each their count, int64, and themselves, int16.
  std::string label(const at::Tensor& centroids) const {
    std::string mine;
    Progress progress("units", static_cast<std::int64_t>(speech_.size()), "utterances", shown_);
    for (std::size_t u = 0; u < speech_.size() && stop_requested() == 0; ++u) {
      if (!is_mine(u)) continue;
      std::int64_t count = 0;
      at::Tensor labels;
      if (request_.count(speech_.samples(u)) > 0) {
        labels = nearest_centroids(frames_of(u), centroids).to(at::kShort).contiguous();
        count = labels.numel();
      }
      mine.append(reinterpret_cast<const char*>(&count), sizeof count);
      if (count > 0) mine.append(static_cast<const char*>(labels.const_data_ptr()), labels.nbytes());
      progress.update(static_cast<std::int64_t>(u + 1));
    }
    return mine;
  }

  /// The labels of all utterances, by index, from those of all ranks.
  std::vector<std::vector<std::int16_t>> merge(const std::vector<std::string>& parts) const {
    std::vector<std::vector<std::int16_t>> labels(speech_.size());
    std::vector<std::size_t> at(parts.size(), 0);
    for (std::size_t u = 0; u < labels.size(); ++u) {
      const std::size_t rank = u % parts.size();
      std::int64_t count = 0;
      std::memcpy(&count, parts[rank].data() + at[rank], sizeof count);
      at[rank] += sizeof count;
      labels[u].resize(static_cast<std::size_t>(count));
      const std::size_t bytes = labels[u].size() * sizeof(std::int16_t);
      if (bytes > 0) std::memcpy(labels[u].data(), parts[rank].data() + at[rank], bytes);
      at[rank] += bytes;
    }
    return labels;
  }

 private:
  bool is_mine(std::size_t i) const {
    return i % static_cast<std::size_t>(ranks_.size()) == static_cast<std::size_t>(ranks_.rank());
  }

  std::vector<std::vector<std::size_t>> cut_blocks(const std::vector<std::size_t>& train) const {
    std::vector<std::size_t> order = train;
    RandomStream random({static_cast<std::uint64_t>(request_.options.seed), key_of("frames for k-means")});
    random.shuffle(order);
    std::vector<std::vector<std::size_t>> blocks;
    std::int64_t total = 0, in_block = kBlockFrames;
    for (const std::size_t u : order) {
      if (total >= request_.options.frames) break;
      const std::int64_t count = request_.count(speech_.samples(u));
      if (count == 0) continue;
      if (in_block >= kBlockFrames) {
        blocks.emplace_back();
        in_block = 0;
      }
      blocks.back().push_back(u);
      in_block += count;
      total += count;
    }
    return blocks;
  }

  at::Tensor frames_of(std::size_t utterance) const {
    const at::NoGradGuard no_grad;
    const at::Tensor frames = at_unit_rate(source_.frames(speech_, utterance), source_.hop_samples, request_.unit_hop,
                                           request_.count(speech_.samples(utterance)));
    const std::string& normalize = request_.options.normalize;
    return normalize == "none" ? frames : normalized_over_time(frames, normalize == "mean_variance");
  }

  const Speech& speech_;
  const UnitSource& source_;
  const UnitRequest& request_;
  const Communicator& ranks_;
  const bool shown_;
};

void write_units(const fs::path& path, const Speech& speech, const std::vector<std::vector<std::int16_t>>& labels) {
  std::vector<std::string> ids;
  std::vector<std::int64_t> first, count;
  std::vector<std::int16_t> all;
  for (std::size_t u = 0; u < labels.size(); ++u) {
    if (labels[u].empty()) continue;
    ids.push_back(speech.key(u));
    first.push_back(static_cast<std::int64_t>(all.size()));
    count.push_back(static_cast<std::int64_t>(labels[u].size()));
    all.insert(all.end(), labels[u].begin(), labels[u].end());
  }
  const std::string place = path.string();
  std::string image;
  {
    const std::lock_guard lock(hdf5::library_lock());
    hdf5::silence();
    const hdf5::Id file = hdf5::create_image(place, all.size() * sizeof(std::int16_t) + (1 << 20));
    hdf5::write_int16s(file, "units", all, place);
    const hdf5::Id group = hdf5::create_group(file, "utterances", place);
    hdf5::write_texts(group, "id", ids, place);
    hdf5::write_int64s(group, "first", first, place);
    hdf5::write_int64s(group, "count", count, place);
    image = hdf5::bytes_of_image(file, place);
  }
  write_file_atomically(path, image);
}

}  // namespace

UnitSource mfcc_source() {
  const std::shared_ptr<const Upstream> mfcc =
      open_upstream("mfcc", {}, FieldReader(Json{{"deltas", true}}, "strata pretrain"));
  return model_source(mfcc, "mfcc", "mfcc", "strata pretrain");
}

UnitSource model_source(std::shared_ptr<const Upstream> upstream, const std::string& tap,
                        const std::string& description, const std::string& place) {
  const std::size_t index = find_tap(upstream->spec().taps, tap, place);
  const Tap& found = upstream->spec().taps[index];
  return {sha256(Json{{"upstream", upstream->fingerprint()}, {"tap", tap}}.dump()), description, found.hop_samples,
          found.width, [upstream, index](const Speech& speech, std::size_t utterance) {
            return upstream->forward(speech.wave(utterance), {index}).front().cpu();
          }};
}

UnitSource store_source(const fs::path& store, const std::string& tap, const Speech& speech, const std::string& place) {
  const auto features = std::make_shared<FeatureStore>(FeatureStore::open(store));
  const std::vector<Tap>& taps = features->description().spec.taps;
  const Tap found = taps[find_tap(taps, tap, place)];
  auto corpora = std::make_shared<std::map<std::string, CorpusFeatures>>();
  for (std::size_t u = 0; u < speech.size(); ++u) {
    const std::string corpus = speech.key(u).substr(0, speech.key(u).find('/'));
    if (!corpora->contains(corpus))
      corpora->emplace(std::piecewise_construct, std::forward_as_tuple(corpus),
                       std::forward_as_tuple(*features, corpus, std::vector<Tap>{found}));
  }
  return {sha256(Json{{"store", features->description().fingerprint}, {"tap", tap}}.dump()),
          fmt::format("{}/{}", features->description().upstream, tap), found.hop_samples, found.width,
          [features, corpora](const Speech& all, std::size_t utterance) {
            const std::string& key = all.key(utterance);
            const std::size_t slash = key.find('/');
            return corpora->at(key.substr(0, slash)).read(key.substr(slash + 1), 0).to(at::kFloat);
          }};
}

at::Tensor at_unit_rate(const at::Tensor& frames, std::int64_t hop, std::int64_t unit_hop, std::int64_t units) {
  at::Tensor aligned = frames;
  if (unit_hop % hop == 0) {
    aligned = frames.slice(0, 0, frames.size(0), unit_hop / hop);
  } else if (hop % unit_hop == 0) {
    aligned = frames.repeat_interleave(hop / unit_hop, 0);
  } else {
    throw ConfigError(fmt::format("frames {} samples apart cannot be units {} samples apart", hop, unit_hop));
  }
  return aligned.slice(0, 0, std::min(units, aligned.size(0)));
}

at::Tensor normalized_over_time(const at::Tensor& frames, bool variance) {
  constexpr double kSmallestVariance = 1e-8;
  const at::Tensor centred = frames.to(at::kDouble).sub(frames.mean(0, /*keepdim=*/true, at::kDouble));
  if (!variance) return centred.to(frames.scalar_type());
  const at::Tensor spread = centred.square().mean(0, /*keepdim=*/true).clamp_min(kSmallestVariance).sqrt();
  return (centred / spread).to(frames.scalar_type());
}

std::optional<Units> Units::make(const fs::path& folder, const Speech& speech, const std::vector<std::size_t>& train,
                                 const UnitSource& source, const UnitRequest& request, const Communicator& ranks,
                                 bool show_progress) {
  const std::string there = ranks.broadcast(fs::exists(folder / "units.json") ? "yes" : "no", 0);
  if (there == "yes") return Units(folder);
  const Maker maker(speech, source, request, ranks, show_progress);
  KMeansOptions options;
  FieldReader reader(request.options.kmeans, "units");
  options.fields(reader);
  FrameBlocks blocks;
  together(ranks, [&] { blocks = maker.blocks(train); });
  if (any_stops(ranks)) return std::nullopt;
  // Not known from the lengths: a layer may have a frame fewer than the units that are wanted.
  ranks.all_reduce_max(std::span(blocks.rows));
  const std::int64_t frames = std::accumulate(blocks.rows.begin(), blocks.rows.end(), std::int64_t{0});
  KMeansResult result;
  together(ranks, [&] {
    result = fit_kmeans(blocks, request.clusters, options, static_cast<std::uint64_t>(request.options.seed), ranks);
  });
  blocks = {};
  if (ranks.rank() == 0) {
    log_info("units: {} clusters of {} frames of {}, inertia {:.6g} a frame after {} iterations, {} empty",
             request.clusters, frames, source.description, result.inertia, result.iterations, result.empty);
  }
  std::string mine;
  together(ranks, [&] { mine = maker.label(result.centroids); });
  if (any_stops(ranks)) return std::nullopt;
  const std::vector<std::vector<std::int16_t>> labels = maker.merge(ranks.all_gather(mine));
  together(ranks, [&] {
    if (ranks.rank() != 0) return;
    write_safetensors(folder / "centroids.safetensors", {{"centroids", result.centroids}});
    write_units(folder / "units.h5", speech, labels);
    const Json record = {{"source", source.description},
                         {"source_fingerprint", source.fingerprint},
                         {"clusters", request.clusters},
                         {"frames", frames},
                         {"normalize", request.options.normalize},
                         {"inertia", result.inertia},
                         {"start_inertias", result.start_inertias},
                         {"iterations", result.iterations},
                         {"empty", result.empty},
                         {"kmeans", request.options.kmeans},
                         {"seed", request.options.seed},
                         {"hop_samples", request.unit_hop},
                         {"units_sha256", sha256_of_file(folder / "units.h5")}};
    write_file_atomically(folder / "units.json", record.dump(1) + "\n");
  });
  return Units(folder);
}

Units::Units(const fs::path& folder) : folder_(folder) {
  const fs::path path = folder / "units.h5";
  const std::string place = path.string();
  record_ = read_json(folder / "units.json");
  if (sha256_of_file(path) != record_.value("units_sha256", ""))
    throw DataError(fmt::format(
        "{}: it does not have the checksum in units.json; remove the folder, `strata pretrain` makes it anew", place));
  std::vector<std::string> ids;
  std::vector<std::int64_t> first, count, all;
  {
    const std::lock_guard lock(hdf5::library_lock());
    hdf5::silence();
    const hdf5::Id file = hdf5::open_file(path);
    all = hdf5::read_int64s(file, "units", place);
    ids = hdf5::read_texts(file, "utterances/id", place);
    first = hdf5::read_int64s(file, "utterances/first", place);
    count = hdf5::read_int64s(file, "utterances/count", place);
  }
  all_ = at::empty({static_cast<std::int64_t>(all.size())}, at::kLong);
  std::copy(all.begin(), all.end(), all_.mutable_data_ptr<std::int64_t>());
  for (std::size_t i = 0; i < ids.size(); ++i) places_[ids[i]] = {first.at(i), count.at(i)};
}

at::Tensor Units::of(const std::string& key) const {
  const auto place = places_.find(key);
  if (place == places_.end()) throw DataError(fmt::format("{}: there are no units of \"{}\"", folder_.string(), key));
  return all_.narrow(0, place->second.first, place->second.second);
}

}  // namespace strata

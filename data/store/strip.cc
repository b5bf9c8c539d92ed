#include "data/store/strip.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/hdf5.h"
#include "data/store/verified.h"

namespace strata {
namespace {

/// Where shards are written before they replace others. The sidecar is written first and replaced first: so a shard
/// without sidecar is one whose sidecar has been replaced, and a sidecar without shard is one that was not finished.
fs::path waiting_room(const fs::path& corpus) { return corpus / "stripped"; }

std::vector<std::string> taps_in_file(const fs::path& path) {
  const std::lock_guard lock(hdf5::library_lock());
  hdf5::silence();
  return hdf5::names_in(hdf5::open_file(path), "taps", path.string());
}

/// A shard and which of its taps stay.
struct ShardWork {
  fs::path path;
  std::vector<Tap> kept;  // empty: the shard goes
  std::int64_t bytes_freed = 0;
};

std::int64_t file_bytes(const fs::path& path) {
  return fs::exists(path) ? static_cast<std::int64_t>(fs::file_size(path)) : 0;
}

std::int64_t frame_bytes(const ShardReader& shard, std::size_t tap, hdf5::StoredType type) {
  const ShardTap& t = shard.tap(tap);
  std::int64_t bytes = t.scale.rows * static_cast<std::int64_t>(sizeof(float));
  for (const hdf5::ChunkPlace& chunk : t.frames.chunks) bytes += chunk.size_bytes;
  if (t.frames.chunk_rows == 0) bytes += t.frames.rows * t.frames.columns * hdf5::bytes_of(type);
  return bytes;
}

/// What is to be done with a shard, if anything.
///   given  taps that go; those that no plan names any more go too
std::optional<ShardWork> work_on(const FeatureStore& store, const fs::path& corpus, const ShardPlan& plan,
                                 const std::vector<std::string>& given) {
  ShardWork work{corpus / plan.name, {}, 0};
  if (!fs::exists(work.path)) return std::nullopt;
  for (const Tap& tap : store.taps_of(plan)) {
    if (!std::ranges::count(given, tap.name)) work.kept.push_back(tap);
  }
  (void)store.open_shard(corpus.filename(), plan, work.kept);  // holds the tables against their checksum
  if (work.kept.empty()) {
    work.bytes_freed = file_bytes(work.path) + file_bytes(sidecar_path(work.path));
    return work;
  }
  const std::vector<std::string> held = taps_in_file(work.path);
  if (std::ranges::all_of(held,
                          [&](const std::string& name) { return std::ranges::count(work.kept, name, &Tap::name) > 0; }))
    return std::nullopt;
  std::vector<Tap> going;  // those of an interrupted strip are no longer in the plan, but known where the upstream is
  for (const std::vector<Tap>* taps : {&store.description().available, &store.description().spec.taps}) {
    for (const Tap& tap : *taps) {
      const bool known = std::ranges::count(going, tap.name, &Tap::name) > 0 ||
                         std::ranges::count(work.kept, tap.name, &Tap::name) > 0;
      if (!known && std::ranges::count(held, tap.name) > 0) going.push_back(tap);
    }
  }
  const ShardReader whole(work.path, going, store.description().type);
  for (std::size_t t = 0; t < going.size(); ++t) work.bytes_freed += frame_bytes(whole, t, store.description().type);
  return work;
}

void check(const FeatureStore& store, const StripRequest& request) {
  const std::vector<Tap>& taps = store.description().spec.taps;
  std::vector<std::string> known;
  for (const Tap& tap : taps) known.push_back(tap.name);
  for (const Tap& tap : store.description().available)
    known.push_back(tap.name);  // may be left in shards by an interrupted strip
  for (const std::string& name : request.taps) {
    if (!std::ranges::count(known, name)) {
      throw ConfigError(fmt::format(
          "{}: the store has no tap \"{}\"; it has {}", store.folder().string(), name,
          fmt::join(std::vector<std::string>(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(taps.size())),
                    ", ")));
    }
  }
  if (std::ranges::all_of(taps, [&](const Tap& tap) { return std::ranges::count(request.taps, tap.name) > 0; })) {
    throw ConfigError(fmt::format("{}: no tap would be left; remove the folder instead", store.folder().string()));
  }
  for (const std::string& corpus : request.corpora) {
    if (!has_corpus(store, corpus))
      throw ConfigError(fmt::format("{}: the store has no corpus \"{}\"", store.folder().string(), corpus));
  }
}

bool goes(const StripRequest& request, const fs::path& corpus) {
  return std::ranges::count(request.corpora, corpus.filename().string()) > 0;
}

/// Shards of generations that hold nothing any more.
std::vector<fs::path> dropped_shards(const fs::path& corpus) {
  std::vector<fs::path> there;
  const CorpusPlan plan = CorpusPlan::load(corpus);
  for (const std::string& name : plan.dropped()) {
    if (fs::exists(corpus / name) || fs::exists(sidecar_path(corpus / name))) there.push_back(corpus / name);
  }
  return there;
}

void count(const ShardWork& work, StripForecast& forecast) {
  (work.kept.empty() ? forecast.shards_removed : forecast.shards_rewritten) += 1;
  forecast.bytes_freed += work.bytes_freed;
}

/// The shard first: without it its sidecar means nothing.
void remove_shard(const fs::path& path) {
  fs::remove(path);
  fs::remove(sidecar_path(path));
}

/// Shards first, then the plans, the last first: until then what is missing can be extracted again.
void remove_corpus(const fs::path& corpus, const BeforeChange& before_change, StripForecast& done) {
  const CorpusPlan plan = CorpusPlan::load(corpus);
  for (const ShardPlan& shard : plan.shards()) {
    const fs::path path = corpus / shard.name;
    if (!fs::exists(path)) continue;
    count({path, {}, file_bytes(path) + file_bytes(sidecar_path(path))}, done);
    before_change();
    remove_shard(path);
  }
  before_change();
  for (std::size_t g = plan.generations(); g > 0; --g) fs::remove(CorpusPlan::generation_path(corpus, g - 1));
  fs::remove_all(corpus);
}

/// Writes the shard without the taps that go, and puts it in the place of the old one.
void rewrite(const ShardWork& work, hdf5::StoredType type, const BeforeChange& before_change) {
  const ShardReader shard(work.path, work.kept, type);
  require_whole(shard);
  std::vector<ShardUtterance> utterances;
  for (std::size_t u = 0; u < shard.ids().size(); ++u) {
    ShardUtterance utterance{shard.ids()[u], shard.samples()[u], {}, {}};
    for (std::size_t t = 0; t < work.kept.size(); ++t) {
      const StoredFrames stored = shard.stored(t, u);
      utterance.features.push_back(stored.values);
      if (type == hdf5::StoredType::kInt8) utterance.scales.push_back(stored.scale);
    }
    utterances.push_back(std::move(utterance));
  }
  const fs::path room = waiting_room(work.path.parent_path());
  before_change();
  make_folder(room);
  write_shard(room / work.path.filename(), work.kept, type, utterances, shard.failed(), shard.compression(),
              shard.origin());
  before_change();
  finish_replacement(work.path.parent_path());
}

CorpusUse use_of(const fs::path& corpus) {
  CorpusUse use{corpus.parent_path(), corpus.filename(), 0, fs::last_write_time(corpus)};
  for (const fs::path& path : {corpus / "verified.json", CorpusPlan::generation_path(corpus, 0)}) {
    if (!fs::exists(path)) continue;
    use.last_used = fs::last_write_time(path);
    break;
  }
  for (const auto& entry : fs::directory_iterator(corpus)) {
    if (entry.is_regular_file()) use.bytes += file_bytes(entry.path());
  }
  return use;
}

}  // namespace

std::vector<fs::path> upstreams_in(const fs::path& store, const std::string& upstream) {
  if (!fs::is_directory(store)) throw ConfigError(fmt::format("{}: there is no such folder", store.string()));
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(store)) {
    const bool wanted = upstream.empty() || entry.path().filename() == upstream;
    if (wanted && fs::exists(entry.path() / "store.json")) folders.push_back(entry.path());
  }
  if (folders.empty())
    throw ConfigError(fmt::format("{}: there is no feature store {}below it", store.string(),
                                  upstream.empty() ? "" : "of upstream " + upstream + " "));
  std::ranges::sort(folders);
  return folders;
}

std::vector<fs::path> corpora_of(const FeatureStore& store) {
  std::vector<fs::path> corpora;
  for (const auto& entry : fs::directory_iterator(store.folder())) {
    if (entry.is_directory()) corpora.push_back(entry.path());
  }
  std::ranges::sort(corpora);
  return corpora;
}

bool has_corpus(const FeatureStore& store, const std::string& corpus) {
  return !corpus.empty() && corpus.find('/') == std::string::npos && corpus.front() != '.' &&
         fs::is_directory(store.corpus_folder(corpus));
}

std::vector<CorpusUse> least_recently_used(const std::vector<fs::path>& folders, std::int64_t limit_bytes) {
  std::vector<CorpusUse> all, going;
  std::int64_t bytes = 0;
  for (const fs::path& folder : folders) {
    for (const fs::path& corpus : corpora_of(FeatureStore::open(folder))) {
      all.push_back(use_of(corpus));
      bytes += all.back().bytes;
    }
  }
  std::ranges::stable_sort(all, {}, &CorpusUse::last_used);
  for (const CorpusUse& use : all) {
    if (bytes <= limit_bytes) break;
    going.push_back(use);
    bytes -= use.bytes;
  }
  return going;
}

bool is_replacing(const fs::path& corpus) { return fs::is_directory(waiting_room(corpus)); }

void finish_replacement(const fs::path& corpus) {
  const fs::path room = waiting_room(corpus);
  if (!is_replacing(corpus)) return;
  for (const auto& entry : fs::directory_iterator(room)) {
    const fs::path shard = entry.path();
    if (shard.extension() != ".h5") continue;
    const fs::path target = corpus / shard.filename();
    if (fs::exists(sidecar_path(shard))) publish_file(sidecar_path(shard), sidecar_path(target));
    publish_file(shard, target);
  }
  fs::remove_all(room);
}

StripForecast forecast_strip(const FeatureStore& store, const StripRequest& request) {
  check(store, request);
  StripForecast forecast;
  for (const fs::path& corpus : corpora_of(store)) {
    for (const fs::path& path : dropped_shards(corpus))
      count({path, {}, file_bytes(path) + file_bytes(sidecar_path(path))}, forecast);
    const CorpusPlan plan = CorpusPlan::load(corpus);
    for (const ShardPlan& shard : plan.shards()) {
      const fs::path path = corpus / shard.name;
      if (goes(request, corpus)) {
        if (fs::exists(path)) count({path, {}, file_bytes(path) + file_bytes(sidecar_path(path))}, forecast);
      } else if (const auto work = work_on(store, corpus, shard, request.taps)) {
        count(*work, forecast);
      }
    }
  }
  return forecast;
}

StripForecast strip(const FeatureStore& given, const StripRequest& request, const BeforeChange& before_change) {
  check(given, request);
  before_change();
  for (const fs::path& corpus : corpora_of(given)) finish_replacement(corpus);
  StripForecast done;
  for (const fs::path& corpus : corpora_of(given)) {
    if (goes(request, corpus)) remove_corpus(corpus, before_change, done);
  }
  // What it comes to is counted while the plans still name what goes.
  StripRequest taps{request.taps, {}};
  const StripForecast rest = forecast_strip(given, taps);
  before_change();
  for (const fs::path& corpus : corpora_of(given)) CorpusPlan::drop_taps(corpus, request.taps, given.description());
  const FeatureStore store = FeatureStore::without_taps(given.folder(), request.taps);
  for (const fs::path& corpus : corpora_of(store)) {
    before_change();
    for (const fs::path& path : dropped_shards(corpus)) remove_shard(path);
    const CorpusPlan plan = CorpusPlan::load(corpus);
    for (const ShardPlan& shard : plan.shards()) {
      if (const auto work = work_on(store, corpus, shard, {})) rewrite(*work, store.description().type, before_change);
    }
  }
  return {done.shards_rewritten + rest.shards_rewritten, done.shards_removed + rest.shards_removed,
          done.bytes_freed + rest.bytes_freed};
}

}  // namespace strata

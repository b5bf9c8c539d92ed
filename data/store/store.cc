#include "data/store/store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

constexpr int kFormat = 2;  // 1: generations do not name their taps
constexpr std::size_t kMaxShardUtterances = 1024;
constexpr std::int64_t kMostOfATap = 1 << 24;  // width, samples between frames: so that no product of theirs overflows

Json to_json(const std::vector<Tap>& taps) {
  Json list = Json::array();
  for (const Tap& tap : taps)
    list.push_back(
        {{"name", tap.name}, {"width", tap.width}, {"hop_samples", tap.hop_samples}, {"listed", tap.listed}});
  return list;
}

Json to_json(const StoreDescription& d) {
  Json json = {{"format", kFormat},
               {"upstream", d.upstream},
               {"fingerprint", d.fingerprint},
               {"dtype", hdf5::name_of(d.type)},
               {"compression", hdf5::name_of(d.compression)},
               {"sample_rate_hz", kSampleRateHz},
               {"taps", to_json(d.spec.taps)},
               {"receptive_field_samples", d.spec.receptive_field_samples},
               {"provenance", d.provenance}};
  if (!d.available.empty()) json["upstream_taps"] = to_json(d.available);
  if (!d.first_taps.empty()) json["first_taps"] = d.first_taps;
  return json;
}

std::vector<Tap> taps_from_json(const Json& json, const fs::path& path) {
  std::vector<Tap> taps;
  for (const Json& tap : json) {
    taps.push_back({tap.at("name"), tap.at("width"), tap.at("hop_samples"), tap.at("listed")});
    const Tap& last = taps.back();
    if (last.width < 1 || last.width > kMostOfATap || last.hop_samples < 1 || last.hop_samples > kMostOfATap)
      throw DataError(fmt::format("{}: not a valid store.json: tap {} has no width or no frame rate", path.string(),
                                  shown(last.name)));
  }
  return taps;
}

/// What a name in store.json or a plan means, if it is among those this program knows.
template <class Of>
auto known(const std::vector<std::string>& names, const Json& name, const fs::path& path, Of&& of) {
  if (!std::ranges::count(names, name.get<std::string>()))
    throw ConfigError(fmt::format("{}: the store holds {}, which this Strata cannot read", path.string(), shown(name)));
  return of(name);
}

StoreDescription from_json(const Json& json, const fs::path& path) {
  try {
    const int format = json.at("format");
    if (format < 1 || format > kFormat) {
      throw ConfigError(fmt::format(
          "{}: the store has format {}, this Strata reads formats 1 to {}; extract it anew into another folder",
          path.string(), format, kFormat));
    }
    StoreDescription d;
    d.upstream = json.at("upstream");
    d.fingerprint = json.at("fingerprint");
    d.type = known(hdf5::stored_type_names(), json.at("dtype"), path, hdf5::stored_type);
    if (format > 1) d.compression = known(hdf5::compression_names(), json.at("compression"), path, hdf5::compression);
    d.spec.taps = taps_from_json(json.at("taps"), path);
    d.spec.receptive_field_samples = json.at("receptive_field_samples");
    if (d.spec.taps.empty()) throw DataError(fmt::format("{}: not a valid store.json: it has no taps", path.string()));
    d.provenance = json.at("provenance");
    d.available = taps_from_json(json.value("upstream_taps", Json::array()), path);
    d.first_taps = json.value("first_taps", d.first_taps);
    return d;
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid store.json: {}", path.string(), e.what()));
  }
}

const Tap* find_tap(const std::vector<Tap>& taps, const std::string& name) {
  const auto found = std::ranges::find(taps, name, &Tap::name);
  return found == taps.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<Tap>& taps) {
  std::vector<std::string> names;
  for (const Tap& tap : taps) names.push_back(tap.name);
  return names;
}

void check_same(const StoreDescription& found, const StoreDescription& wanted, const fs::path& path) {
  if (found.type != wanted.type) {
    throw ConfigError(fmt::format("{}: the store holds {}, the study asks for {}; give the upstream another name or the study another store",
                                  path.string(), hdf5::name_of(found.type), hdf5::name_of(wanted.type)));
  }
  if (found.fingerprint != wanted.fingerprint) {
    throw ConfigError(fmt::format("{}: the store was made by another upstream under the name \"{}\" (fingerprint {} there, {} now); give this one another name or the study another store",
                                  path.string(), found.upstream, found.fingerprint.substr(0, 12), wanted.fingerprint.substr(0, 12)));
  }
  for (const Tap& tap : wanted.spec.taps) {
    const Tap* there = find_tap(found.spec.taps, tap.name);
    if (there == nullptr || *there == tap) continue;
    throw ConfigError(fmt::format("{}: the store's taps have other widths or frame rates than this Strata computes; extract it anew into another folder", path.string()));
  }
}

/// What the store is to say, so that it has the taps of both.
StoreDescription grown(const StoreDescription& found, const StoreDescription& wanted) {
  StoreDescription d = found;
  d.compression = wanted.compression;
  if (!wanted.available.empty()) d.available = wanted.available;
  for (const Tap& tap : wanted.spec.taps) {
    if (find_tap(d.spec.taps, tap.name) == nullptr) d.spec.taps.push_back(tap);
  }
  if (d.spec.taps.size() > found.spec.taps.size() && d.first_taps.empty()) d.first_taps = names_of(found.spec.taps);
  std::ranges::stable_sort(d.spec.taps, {}, [&](const Tap& tap) {
    return std::ranges::find(d.available, tap.name, &Tap::name) - d.available.begin();
  });
  return d;
}

/// Which taps of a store are not planned yet, by utterance.
class MissingTaps {
 public:
  MissingTaps(const std::vector<ShardPlan>& shards, const StoreDescription& store, const FailedIds& failed)
      : all_(names_of(store.spec.taps)) {
    std::vector<std::string> first = store.first_taps.empty() ? all_ : store.first_taps;
    for (const ShardPlan& shard : shards) {
      const std::vector<std::string>& taps = shard.taps.empty() ? first : shard.taps;
      const auto of_shard = failed.find(shard.name);
      for (const std::string& id : shard.ids) {
        if (of_shard != failed.end() && of_shard->second.contains(id)) continue;
        std::vector<std::string>& lacks = lacking_.try_emplace(id, all_).first->second;
        std::erase_if(lacks, [&](const std::string& name) { return std::ranges::count(taps, name) > 0; });
      }
    }
  }

  /// In the order of the store.
  const std::vector<std::string>& of(const std::string& id) const {
    const auto found = lacking_.find(id);
    return found == lacking_.end() ? all_ : found->second;
  }

 private:
  std::vector<std::string> all_;
  std::unordered_map<std::string, std::vector<std::string>> lacking_;
};

/// Throws DataError unless the shard holds, or could not decode, exactly what was planned for it.
void check_ids(const ShardReader& shard, const ShardPlan& plan) {
  std::vector<std::string_view> found(shard.ids().begin(), shard.ids().end());
  for (const FailedUtterance& f : shard.failed()) found.push_back(f.id);
  std::vector<std::string_view> planned(plan.ids.begin(), plan.ids.end());
  std::ranges::sort(found);
  std::ranges::sort(planned);
  if (found == planned) return;
  throw DataError(fmt::format("{}: its {} utterances are not the {} that were planned for it; `strata verify --repair` "
                              "removes it, `strata extract` fills the hole",
                              shard.path().string(), found.size(), planned.size()));
}

}  // namespace

FeatureStore FeatureStore::open(const fs::path& folder) {
  const fs::path path = folder / "store.json";
  if (!fs::exists(path)) throw ConfigError(fmt::format("{}: there is no feature store here; run `strata extract` first", folder.string()));
  return FeatureStore(folder, from_json(read_json(path), path));
}

FeatureStore FeatureStore::planned(const fs::path& folder, const StoreDescription& description) {
  const fs::path path = folder / "store.json";
  FeatureStore store = fs::exists(path) ? open(folder) : FeatureStore(folder, description);
  check_same(store.description(), description, path);
  store.description_ = grown(store.description(), description);
  return store;
}

FeatureStore FeatureStore::open_or_create(const fs::path& folder, const StoreDescription& description) {
  const fs::path path = folder / "store.json";
  FeatureStore store = planned(folder, description);
  if (!fs::exists(path) || open(folder).description() != store.description())
    write_file_atomically(path, to_json(store.description()).dump(1) + "\n");
  return store;
}

FeatureStore FeatureStore::without_taps(const fs::path& folder, const std::vector<std::string>& taps) {
  FeatureStore store = open(folder);
  StoreDescription& d = store.description_;
  const auto goes = [&](const std::string& name) { return std::ranges::count(taps, name) > 0; };
  if (std::erase_if(d.spec.taps, [&](const Tap& tap) { return goes(tap.name); }) == 0) return store;
  std::erase_if(d.first_taps, goes);
  write_file_atomically(folder / "store.json", to_json(d).dump(1) + "\n");
  return store;
}

FeatureSpec FeatureStore::spec_of(const std::vector<std::string>& taps) const {
  const std::vector<Tap>& stored = description_.spec.taps;
  std::vector<std::string> wanted = taps;
  for (const Tap& tap : description_.available.empty() ? stored : description_.available) {
    if (taps.empty() && tap.listed) wanted.push_back(tap.name);
  }
  for (const std::string& name : wanted) {
    if (find_tap(stored, name) != nullptr) continue;
    throw ConfigError(
        fmt::format("{}: the store has no tap \"{}\", it has {}; run `strata extract` on this study, which adds it",
                    folder_.string(), name, fmt::join(names_of(stored), ", ")));
  }
  FeatureSpec spec{{}, description_.spec.receptive_field_samples};
  std::ranges::copy_if(stored, std::back_inserter(spec.taps),
                       [&](const Tap& tap) { return std::ranges::count(wanted, tap.name) > 0; });
  return spec;
}

std::vector<Tap> FeatureStore::taps_of(const ShardPlan& shard) const {
  const std::vector<std::string>& names = shard.taps.empty() ? description_.first_taps : shard.taps;
  if (names.empty()) return description_.spec.taps;
  std::vector<Tap> taps;
  for (const std::string& name : names) {
    const Tap* tap = find_tap(description_.spec.taps, name);
    if (tap == nullptr)
      throw DataError(fmt::format("{}: the plan of {} names the tap {}, store.json does not", folder_.string(),
                                  shard.name, shown(name)));
    taps.push_back(*tap);
  }
  return taps;
}

ShardReader FeatureStore::open_shard(const std::string& corpus, const ShardPlan& plan,
                                     const std::vector<Tap>& taps) const {
  ShardReader shard(corpus_folder(corpus) / plan.name, taps, description_.type, origin_of(corpus, plan.name));
  check_ids(shard, plan);
  return shard;
}

double bytes_per_sample(const std::vector<Tap>& taps, hdf5::StoredType type) {
  double bytes = 0;
  for (const Tap& tap : taps) {
    const std::int64_t scale_bytes = type == hdf5::StoredType::kInt8 ? sizeof(float) : 0;
    bytes += static_cast<double>(tap.width * hdf5::bytes_of(type) + scale_bytes) / static_cast<double>(tap.hop_samples);
  }
  return bytes;
}

namespace {

/// A generation as it is written. Throws DataError if it is broken or names files that no plan names: `verify --repair` removes by these names.
Json read_generation(const fs::path& path) {
  const std::string text = read_file(path);
  if (nesting_of(text) > kDeepestJson) throw DataError(fmt::format("{}: not a valid extraction plan: nested too deep", path.string()));
  try {
    Json generation = Json::parse(text);
    for (const Json& shard : generation.at("shards")) {
      const std::string& name = shard.at("name").get_ref<const std::string&>();
      if (!name.starts_with("shard-") || !name.ends_with(".h5") || name.find('/') != std::string::npos) {
        throw DataError(fmt::format("{}: not a valid extraction plan: {} is no name of a shard", path.string(), shown(shard.at("name"))));
      }
    }
    return generation;
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid extraction plan: {}", path.string(), e.what()));
  }
}

}  // namespace

CorpusPlan CorpusPlan::load(const fs::path& folder) {
  CorpusPlan plan;
  plan.folder_ = folder;
  for (;; plan.saved_ = ++plan.generations_) {
    const fs::path path = generation_path(folder, plan.generations_);
    if (!fs::exists(path)) return plan;
    try {
      const Json generation = read_generation(path);
      plan.treatment_ = generation.at("treatment");
      const std::vector<std::string> taps = generation.value("taps", std::vector<std::string>());
      const auto compression =
          known(hdf5::compression_names(), generation.value("compression", "none"), path, hdf5::compression);
      const bool dropped = generation.value("dropped", false);
      for (const Json& shard : generation.at("shards")) {
        if (dropped) plan.dropped_.push_back(shard.at("name"));
        if (!dropped) plan.shards_.push_back({shard.at("name"), shard.at("ids"), taps, compression, plan.generations_});
      }
    } catch (const Json::exception& e) {
      throw DataError(fmt::format("{}: not a valid extraction plan: {}", path.string(), e.what()));
    }
  }
}

std::int64_t CorpusPlan::default_shard_bytes(double total_bytes) {
  return static_cast<std::int64_t>(std::clamp(total_bytes / 8192, 16.0 * (1 << 20), 256.0 * (1 << 20)));
}

std::vector<ShardPlan> CorpusPlan::extend(const std::vector<PlannedUtterance>& utterances,
                                          const StoreDescription& store, const Json& treatment,
                                          std::int64_t shard_bytes, const FailedIds& again) {
  if (!shards_.empty() && treatment != treatment_) {
    throw ConfigError(fmt::format("{}: the store treated this corpus' audio with {}, the study asks for {}; give the corpus another name",
                                  folder_.string(), treatment_.dump(), treatment.dump()));
  }
  treatment_ = treatment;
  const std::size_t before = shards_.size();
  // Those that lack the same taps are together, in the order of their first utterances: so a run that was interrupted
  // between two generations goes on with the second.
  std::vector<std::pair<std::vector<std::string>, std::vector<const PlannedUtterance*>>> groups;
  const MissingTaps missing(shards_, store, again);
  for (const PlannedUtterance& utterance : utterances) {
    const std::vector<std::string>& taps = missing.of(utterance.id);
    if (taps.empty()) continue;
    auto group = std::ranges::find(groups, taps, [](const auto& g) { return g.first; });
    if (group == groups.end()) group = groups.insert(groups.end(), {taps, {}});
    group->second.push_back(&utterance);
  }
  for (const auto& [names, lacking] : groups) {
    std::vector<Tap> taps;
    for (const std::string& name : names) taps.push_back(*find_tap(store.spec.taps, name));
    add_generation(lacking, taps, store, shard_bytes);
  }
  return {shards_.begin() + static_cast<std::ptrdiff_t>(before), shards_.end()};
}

void CorpusPlan::add_generation(const std::vector<const PlannedUtterance*>& utterances, const std::vector<Tap>& taps,
                                const StoreDescription& store, std::int64_t shard_bytes) {
  const double per_sample = bytes_per_sample(taps, store.type);
  if (shard_bytes == 0) {
    double total = 0;
    for (const PlannedUtterance* utterance : utterances) total += per_sample * static_cast<double>(utterance->samples);
    shard_bytes = default_shard_bytes(total);
  }
  double bytes = 0;
  bool fresh = true;
  for (const PlannedUtterance* utterance : utterances) {
    if (fresh || bytes >= static_cast<double>(shard_bytes) || shards_.back().ids.size() >= kMaxShardUtterances) {
      shards_.push_back({fmt::format("shard-{:05}.h5", shards_.size() + dropped_.size()),
                         {},
                         names_of(taps),
                         store.compression,
                         generations_});
      bytes = 0;
      fresh = false;
    }
    shards_.back().ids.push_back(utterance->id);
    bytes += per_sample * static_cast<double>(utterance->samples);
  }
  generations_ += 1;
}

void CorpusPlan::save() {
  for (; saved_ < generations_; ++saved_) {
    Json generation = {{"treatment", treatment_}, {"shards", Json::array()}};
    for (const ShardPlan& shard : shards_) {
      if (shard.generation != saved_) continue;
      generation["taps"] = shard.taps;
      generation["compression"] = hdf5::name_of(shard.compression);
      generation["shards"].push_back({{"name", shard.name}, {"ids", shard.ids}});
    }
    write_file_atomically(generation_path(folder_, saved_), generation.dump() + "\n");
  }
}

void CorpusPlan::drop_taps(const fs::path& folder, const std::vector<std::string>& taps,
                           const StoreDescription& store) {
  const CorpusPlan plan = load(folder);  // says what is wrong with a broken one
  for (std::size_t g = 0; g < plan.generations(); ++g) {
    const fs::path path = generation_path(folder, g);
    Json generation = read_generation(path);
    const std::vector<std::string> unnamed = store.first_taps.empty() ? names_of(store.spec.taps) : store.first_taps;
    const std::vector<std::string> before = generation.value("taps", unnamed);
    std::vector<std::string> kept = before;
    std::erase_if(kept, [&](const std::string& tap) { return std::ranges::count(taps, tap) > 0; });
    if (kept == before) continue;
    if (kept.empty()) {
      generation["dropped"] = true;
    } else {
      generation["taps"] = kept;
    }
    write_file_atomically(path, generation.dump() + "\n");
  }
}

fs::path CorpusPlan::generation_path(const fs::path& folder, std::size_t generation) {
  return folder / fmt::format("generation-{:03}.json", generation);
}

std::vector<ShardPlan> CorpusPlan::missing() const {
  std::vector<ShardPlan> missing;
  for (const ShardPlan& shard : shards_) {
    const fs::path path = folder_ / shard.name;
    if (!fs::exists(path) || !fs::exists(sidecar_path(path))) missing.push_back(shard);
  }
  return missing;
}

CorpusFeatures::CorpusFeatures(const FeatureStore& store, const std::string& corpus, std::vector<Tap> taps)
    : name_(store.corpus_folder(corpus).string()),
      type_(store.description().type),
      taps_(taps.empty() ? store.description().spec.taps : std::move(taps)) {
  const CorpusPlan plan = CorpusPlan::load(name_);
  if (plan.shards().empty()) throw ConfigError(fmt::format("{}: no features here; run `strata extract` on this study first", name_));
  std::vector<const ShardPlan*> wanted;
  for (const ShardPlan& shard : plan.shards()) {
    const std::vector<Tap> held = store.taps_of(shard);
    if (std::ranges::any_of(taps_, [&](const Tap& tap) { return find_tap(held, tap.name) != nullptr; }))
      wanted.push_back(&shard);
  }
  const auto is_missing = [&](const ShardPlan* shard) { return !fs::exists(fs::path(name_) / shard->name); };
  if (const auto missing = std::ranges::count_if(wanted, is_missing); missing > 0) {
    throw ConfigError(fmt::format("{}: {} of {} shards are missing, {} first; run `strata extract` on this study again",
                                  name_, missing, wanted.size(), (*std::ranges::find_if(wanted, is_missing))->name));
  }
  std::size_t planned = 0;
  for (const ShardPlan* shard : wanted) planned += shard->ids.size();
  places_.reserve(planned);
  list_.reserve(planned);
  for (const ShardPlan* shard : wanted) open_shard(store, *shard);
  leave_out_incomplete();
}

void CorpusFeatures::open_shard(const FeatureStore& store, const ShardPlan& plan) {
  const std::vector<Tap> held = store.taps_of(plan);  // all are opened, so that the shard as a whole can be verified
  const std::size_t index = shards_.size();
  shards_.push_back(std::make_unique<ShardReader>(store.open_shard(fs::path(name_).filename(), plan, held)));
  std::vector<std::optional<std::size_t>>& slots = tap_in_shard_.emplace_back(taps_.size());
  for (std::size_t t = 0; t < taps_.size(); ++t) {
    if (const Tap* tap = find_tap(held, taps_[t].name); tap != nullptr)
      slots[t] = static_cast<std::size_t>(tap - held.data());
  }
  const ShardReader& reader = *shards_.back();
  for (const FailedUtterance& f : reader.failed()) failures_[f.id] = f.reason;
  for (std::size_t u = 0; u < reader.ids().size(); ++u) {
    const auto [found, fresh] = places_.try_emplace(reader.ids()[u], list_.size());
    list_.push_back({index, u, fresh ? kNoPlace : found->second});
    found->second = list_.size() - 1;
    if (fresh) continue;
    const Place& first = list_[list_.back().next];
    if (shards_[first.shard]->samples()[first.utterance] != reader.samples()[u]) {
      throw ConfigError(
          fmt::format("{}: \"{}\" has {} samples in {} and {} in {}: its audio changed before its taps were added; "
                      "extract it anew into another folder, or under another id",
                      name_, reader.ids()[u], shards_[first.shard]->samples()[first.utterance],
                      shards_[first.shard]->path().filename().string(), reader.samples()[u], plan.name));
    }
  }
}

void CorpusFeatures::leave_out_incomplete() {
  std::erase_if(places_, [&](const auto& entry) {
    for (std::size_t t = 0; t < taps_.size(); ++t) {
      std::size_t place = entry.second;
      while (place != kNoPlace && !tap_in_shard_[list_[place].shard][t]) place = list_[place].next;
      if (place == kNoPlace) return true;
    }
    return false;
  });
}

const std::string* CorpusFeatures::failure(const std::string& id) const {
  const auto found = failures_.find(id);
  return found == failures_.end() ? nullptr : &found->second;
}

CorpusFeatures::StoredTap CorpusFeatures::find(const std::string& id, std::size_t tap) const {
  const auto found = places_.find(id);
  if (found == places_.end()) throw DataError(fmt::format("{}: no features of utterance \"{}\"", name_, id));
  for (std::size_t i = found->second; i != kNoPlace; i = list_[i].next) {
    const Place& place = list_[i];
    if (const auto slot = tap_in_shard_[place.shard].at(tap))
      return {shards_[place.shard].get(), *slot, place.utterance};
  }
  throw InternalError(fmt::format("{}: utterance \"{}\" lacks tap {}", name_, id, taps_[tap].name));
}

std::int64_t CorpusFeatures::frames(const std::string& id, std::size_t tap) const {
  const StoredTap stored = find(id, tap);
  return stored.shard->tap(stored.tap).count[stored.utterance];
}

std::int64_t CorpusFeatures::samples(const std::string& id) const {
  const StoredTap stored = find(id, 0);
  return stored.shard->samples()[stored.utterance];
}

void CorpusFeatures::prefetch(const std::string& id, std::size_t tap) const {
  const StoredTap stored = find(id, tap);
  stored.shard->prefetch(stored.tap, stored.utterance);
}

at::Tensor CorpusFeatures::read(const std::string& id, std::size_t tap) const {
  const StoredTap stored = find(id, tap);
  return stored.shard->read(stored.tap, stored.utterance);
}

void CorpusFeatures::read_into(const std::string& id, std::size_t tap, const at::Tensor& out) const {
  const StoredTap stored = find(id, tap);
  stored.shard->read_into(stored.tap, stored.utterance, out);
}

}  // namespace strata

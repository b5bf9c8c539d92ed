#include "data/store/store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

constexpr int kFormat = 1;
constexpr std::size_t kMaxShardUtterances = 1024;

Json to_json(const StoreDescription& d) {
  Json taps = Json::array();
  for (const Tap& tap : d.spec.taps) taps.push_back({{"name", tap.name}, {"width", tap.width}, {"hop_samples", tap.hop_samples}, {"listed", tap.listed}});
  return {{"format", kFormat},       {"upstream", d.upstream}, {"fingerprint", d.fingerprint}, {"dtype", hdf5::name_of(d.type)},
          {"sample_rate_hz", kSampleRateHz}, {"taps", taps},   {"receptive_field_samples", d.spec.receptive_field_samples},
          {"provenance", d.provenance}};
}

StoreDescription from_json(const Json& json, const fs::path& path) {
  try {
    const int format = json.at("format");
    if (format != kFormat) {
      throw ConfigError(fmt::format("{}: the store has format {}, this Strata reads format {}; extract it anew into another folder", path.string(), format, kFormat));
    }
    StoreDescription d;
    d.upstream = json.at("upstream");
    d.fingerprint = json.at("fingerprint");
    const std::string dtype = json.at("dtype");
    if (!std::ranges::count(hdf5::stored_type_names(), dtype)) {
      throw ConfigError(fmt::format("{}: the store holds {}, which this Strata cannot read", path.string(), shown(json.at("dtype"))));
    }
    d.type = hdf5::stored_type(dtype);
    for (const Json& tap : json.at("taps")) d.spec.taps.push_back({tap.at("name"), tap.at("width"), tap.at("hop_samples"), tap.at("listed")});
    d.spec.receptive_field_samples = json.at("receptive_field_samples");
    for (const Tap& tap : d.spec.taps) {
      if (tap.width < 1 || tap.hop_samples < 1) throw DataError(fmt::format("{}: not a valid store.json: tap {} has no width or no frame rate", path.string(), shown(tap.name)));
    }
    if (d.spec.taps.empty()) throw DataError(fmt::format("{}: not a valid store.json: it has no taps", path.string()));
    d.provenance = json.at("provenance");
    return d;
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid store.json: {}", path.string(), e.what()));
  }
}

std::string tap_names(const FeatureSpec& spec) {
  std::vector<std::string> names;
  for (const Tap& tap : spec.taps) names.push_back(tap.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void check_same(const StoreDescription& found, const StoreDescription& wanted, const fs::path& path) {
  if (found.type != wanted.type) {
    throw ConfigError(fmt::format("{}: the store holds {}, the study asks for {}; give the upstream another name or the study another store",
                                  path.string(), hdf5::name_of(found.type), hdf5::name_of(wanted.type)));
  }
  if (tap_names(found.spec) != tap_names(wanted.spec)) {
    throw ConfigError(fmt::format("{}: the store holds the taps {}, the study asks for {}; give the upstream another name or the study another store",
                                  path.string(), tap_names(found.spec), tap_names(wanted.spec)));
  }
  if (found.fingerprint != wanted.fingerprint) {
    throw ConfigError(fmt::format("{}: the store was made by another upstream under the name \"{}\" (fingerprint {} there, {} now); give this one another name or the study another store",
                                  path.string(), found.upstream, found.fingerprint.substr(0, 12), wanted.fingerprint.substr(0, 12)));
  }
  if (found.spec.taps != wanted.spec.taps) {
    throw ConfigError(fmt::format("{}: the store's taps have other widths or frame rates than this Strata computes; extract it anew into another folder", path.string()));
  }
}

}  // namespace

FeatureStore FeatureStore::open(const fs::path& folder) {
  const fs::path path = folder / "store.json";
  if (!fs::exists(path)) throw ConfigError(fmt::format("{}: there is no feature store here; run `strata extract` first", folder.string()));
  return FeatureStore(folder, from_json(read_json(path), path));
}

FeatureStore FeatureStore::open_or_create(const fs::path& folder, const StoreDescription& description) {
  const fs::path path = folder / "store.json";
  if (!fs::exists(path)) write_file_atomically(path, to_json(description).dump(1) + "\n");
  FeatureStore store = open(folder);
  check_same(store.description(), description, path);
  return store;
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
  for (;; ++plan.generations_) {
    const fs::path path = folder / fmt::format("generation-{:03}.json", plan.generations_);
    if (!fs::exists(path)) return plan;
    try {
      const Json generation = read_generation(path);
      plan.treatment_ = generation.at("treatment");
      for (const Json& shard : generation.at("shards")) plan.shards_.push_back({shard.at("name"), shard.at("ids")});
    } catch (const Json::exception& e) {
      throw DataError(fmt::format("{}: not a valid extraction plan: {}", path.string(), e.what()));
    }
  }
}

std::vector<ShardPlan> CorpusPlan::extend(const std::vector<PlannedUtterance>& utterances, double bytes_per_sample,
                                          const Json& treatment, std::int64_t shard_bytes) {
  if (!shards_.empty() && treatment != treatment_) {
    throw ConfigError(fmt::format("{}: the store treated this corpus' audio with {}, the study asks for {}; give the corpus another name",
                                  folder_.string(), treatment_.dump(), treatment.dump()));
  }
  std::unordered_set<std::string> planned;
  for (const ShardPlan& shard : shards_) planned.insert(shard.ids.begin(), shard.ids.end());
  std::vector<ShardPlan> added;
  double bytes = 0;
  for (const PlannedUtterance& utterance : utterances) {
    if (planned.contains(utterance.id)) continue;
    if (added.empty() || bytes >= static_cast<double>(shard_bytes) || added.back().ids.size() >= kMaxShardUtterances) {
      added.push_back({fmt::format("shard-{:05}.h5", shards_.size() + added.size()), {}});
      bytes = 0;
    }
    added.back().ids.push_back(utterance.id);
    bytes += bytes_per_sample * static_cast<double>(utterance.samples);
  }
  if (added.empty()) return added;
  treatment_ = treatment;
  if (unsaved_.is_null()) unsaved_ = {{"treatment", treatment}, {"shards", Json::array()}};
  for (const ShardPlan& shard : added) unsaved_["shards"].push_back({{"name", shard.name}, {"ids", shard.ids}});
  shards_.insert(shards_.end(), added.begin(), added.end());
  return added;
}

void CorpusPlan::save() {
  if (unsaved_.is_null()) return;
  write_file_atomically(folder_ / fmt::format("generation-{:03}.json", generations_), unsaved_.dump() + "\n");
  unsaved_ = nullptr;
  generations_ += 1;
}

std::vector<ShardPlan> CorpusPlan::missing() const {
  std::vector<ShardPlan> missing;
  for (const ShardPlan& shard : shards_) {
    if (!fs::exists(folder_ / shard.name)) missing.push_back(shard);
  }
  return missing;
}

CorpusFeatures::CorpusFeatures(const FeatureStore& store, const std::string& corpus) : name_(store.corpus_folder(corpus).string()) {
  const CorpusPlan plan = CorpusPlan::load(name_);
  if (plan.shards().empty()) throw ConfigError(fmt::format("{}: no features here; run `strata extract` on this study first", name_));
  const auto missing = plan.missing();
  if (!missing.empty()) {
    throw ConfigError(fmt::format("{}: {} of {} shards are missing, {} first; run `strata extract` on this study again", name_, missing.size(),
                                  plan.shards().size(), missing.front().name));
  }
  std::size_t planned = 0;
  for (const ShardPlan& shard : plan.shards()) planned += shard.ids.size();
  places_.reserve(planned);
  for (const ShardPlan& shard : plan.shards()) {
    const std::size_t index = shards_.size();
    shards_.push_back(std::make_unique<ShardReader>(fs::path(name_) / shard.name, store.description().spec.taps, store.description().type));
    const ShardReader& reader = *shards_.back();
    for (std::size_t u = 0; u < reader.ids().size(); ++u) places_[reader.ids()[u]] = {index, u};
    for (const FailedUtterance& f : reader.failed()) failures_[f.id] = f.reason;
  }
}

const std::string* CorpusFeatures::failure(const std::string& id) const {
  const auto found = failures_.find(id);
  return found == failures_.end() ? nullptr : &found->second;
}

const CorpusFeatures::Place& CorpusFeatures::place(const std::string& id) const {
  const auto found = places_.find(id);
  if (found == places_.end()) throw DataError(fmt::format("{}: no features of utterance \"{}\"", name_, id));
  return found->second;
}

std::int64_t CorpusFeatures::frames(const std::string& id, std::size_t tap) const {
  const Place& p = place(id);
  return shards_[p.shard]->tap(tap).count[p.utterance];
}

std::int64_t CorpusFeatures::samples(const std::string& id) const {
  const Place& p = place(id);
  return shards_[p.shard]->samples()[p.utterance];
}

void CorpusFeatures::prefetch(const std::string& id, std::size_t tap) const {
  const Place& p = place(id);
  shards_[p.shard]->prefetch(tap, p.utterance);
}

at::Tensor CorpusFeatures::read(const std::string& id, std::size_t tap) const {
  const Place& p = place(id);
  return shards_[p.shard]->read(tap, p.utterance);
}

}  // namespace strata

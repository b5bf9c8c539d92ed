#include "data/store/corpus_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/json_seal.h"
#include "data/store/shard.h"

namespace strata {
namespace {

constexpr std::size_t kMaxShardUtterances = 1024;

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

/// A generation as it is written. Throws DataError if it is broken or names files that no plan names: `verify --repair`
/// removes by these names.
Json read_generation(const fs::path& path) {
  const std::string text = read_file(path);
  if (nesting_of(text) > kDeepestJson)
    throw DataError(fmt::format("{}: not a valid extraction plan: nested too deep", path.string()));
  try {
    check_seal(text, path);
    Json generation = Json::parse(text);
    for (const Json& shard : generation.at("shards")) {
      const std::string& name = shard.at("name").get_ref<const std::string&>();
      if (!name.starts_with("shard-") || !name.ends_with(".h5") || name.find('/') != std::string::npos) {
        throw DataError(fmt::format("{}: not a valid extraction plan: {} is no name of a shard", path.string(),
                                    shown(shard.at("name"))));
      }
    }
    return generation;
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid extraction plan: {}", path.string(), e.what()));
  }
}

}  // namespace

double bytes_per_sample(const std::vector<Tap>& taps, hdf5::StoredType type) {
  double bytes = 0;
  for (const Tap& tap : taps) {
    const std::int64_t scale_bytes = type == hdf5::StoredType::kInt8 ? sizeof(float) : 0;
    bytes += static_cast<double>(tap.width * hdf5::bytes_of(type) + scale_bytes) / static_cast<double>(tap.hop_samples);
  }
  return bytes;
}

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
      const hdf5::Compression compression = compression_from_json(generation.value("compression", "none"), path);
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
    throw ConfigError(fmt::format(
        "{}: the store treated this corpus' audio with {}, the study asks for {}; give the corpus another name",
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
    write_file_atomically(generation_path(folder_, saved_), sealed(std::move(generation)));
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
    write_file_atomically(path, sealed(std::move(generation)));
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

}  // namespace strata

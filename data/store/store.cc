#include "data/store/store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

void check_same(const StoreDescription& found, const StoreDescription& wanted, const fs::path& path) {
  if (found.type != wanted.type) {
    throw ConfigError(fmt::format(
        "{}: the store holds {}, the study asks for {}; give the upstream another name or the study another store",
        path.string(), hdf5::name_of(found.type), hdf5::name_of(wanted.type)));
  }
  if (found.fingerprint != wanted.fingerprint) {
    throw ConfigError(
        fmt::format("{}: the store was made by another upstream under the name \"{}\" (fingerprint {} there, {} now); "
                    "give this one another name or the study another store",
                    path.string(), found.upstream, found.fingerprint.substr(0, 12), wanted.fingerprint.substr(0, 12)));
  }
  for (const Tap& tap : wanted.spec.taps) {
    const Tap* there = find_tap(found.spec.taps, tap.name);
    if (there == nullptr || *there == tap) continue;
    throw ConfigError(
        fmt::format("{}: the store's taps have other widths or frame rates than this Strata computes; extract it anew "
                    "into another folder",
                    path.string()));
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

/// Throws DataError unless the shard holds, or could not decode, exactly what was planned for it.
void check_ids(const ShardReader& shard, const ShardPlan& plan) {
  std::vector<std::string_view> found(shard.ids().begin(), shard.ids().end());
  for (const FailedUtterance& f : shard.failed()) found.push_back(f.id);
  std::vector<std::string_view> planned(plan.ids.begin(), plan.ids.end());
  std::ranges::sort(found);
  std::ranges::sort(planned);
  if (found == planned) return;
  throw DataError(
      fmt::format("{}: its {} utterances are not the {} that were planned for it; `strata verify --repair` "
                  "removes it, `strata extract` fills the hole",
                  shard.path().string(), found.size(), planned.size()));
}

}  // namespace

FeatureStore FeatureStore::open(const fs::path& folder) {
  const fs::path path = folder / "store.json";
  if (!fs::exists(path))
    throw ConfigError(fmt::format("{}: there is no feature store here; run `strata extract` first", folder.string()));
  return FeatureStore(folder, read_description(path));
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
  write_description(store.description(), path);
  return store;
}

FeatureStore FeatureStore::without_taps(const fs::path& folder, const std::vector<std::string>& taps) {
  FeatureStore store = open(folder);
  StoreDescription& d = store.description_;
  const auto goes = [&](const std::string& name) { return std::ranges::count(taps, name) > 0; };
  if (std::erase_if(d.spec.taps, [&](const Tap& tap) { return goes(tap.name); }) == 0) return store;
  std::erase_if(d.first_taps, goes);
  write_description(d, folder / "store.json");
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

}  // namespace strata

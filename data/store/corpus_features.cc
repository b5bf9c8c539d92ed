#include "data/store/corpus_features.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {

CorpusFeatures::CorpusFeatures(const FeatureStore& store, const std::string& corpus, std::vector<Tap> taps)
    : name_(store.corpus_folder(corpus).string()),
      type_(store.description().type),
      taps_(taps.empty() ? store.description().spec.taps : std::move(taps)) {
  const CorpusPlan plan = CorpusPlan::load(name_);
  if (plan.shards().empty())
    throw ConfigError(fmt::format("{}: no features here; run `strata extract` on this study first", name_));
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

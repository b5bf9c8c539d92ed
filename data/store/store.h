#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor/feature_spec.h"
#include "data/store/corpus_plan.h"
#include "data/store/shard.h"
#include "data/store/store_description.h"

namespace strata {

/// Called before anything in a store is changed. Throws if it may not be any more: another job took the store over.
using BeforeChange = std::function<void()>;

/// The folder of one upstream below the store of a study: STORE/<upstream>. Its taps are the union of what the studies
/// that extracted into it asked for; every utterance gets all of them, whatever the study that adds it asks for. A
/// study sees only those that it lists (spec_of), so that its trials are those of a store made for it alone.
class FeatureStore {
 public:
  /// Reads store.json. Throws ConfigError if there is none or its format is of another version, DataError if it is
  /// damaged.
  static FeatureStore open(const std::filesystem::path& folder);

  /// What `open_or_create` would give, and nothing is written: for forecasts.
  static FeatureStore planned(const std::filesystem::path& folder, const StoreDescription& description);

  /// Opens it if it is there, else makes it. Taps that it lacks are added to store.json (their features are then to be
  /// planned and computed); another compression holds for shards planned from now on. Throws ConfigError if it was made
  /// by another upstream or storage type; the message says what differs. One process at a time.
  static FeatureStore open_or_create(const std::filesystem::path& folder, const StoreDescription& description);

  /// Opens it and takes taps out of store.json, which no plan may name any more.
  static FeatureStore without_taps(const std::filesystem::path& folder, const std::vector<std::string>& taps);

  const StoreDescription& description() const { return description_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path corpus_folder(const std::string& corpus) const { return folder_ / corpus; }

  /// What a study sees that lists these taps (none: the layer list of the model): they, in the upstream's order. Throws
  /// ConfigError naming a tap that is not stored.
  FeatureSpec spec_of(const std::vector<std::string>& taps) const;

  /// The taps a shard holds, in its order. Throws DataError if its plan names one that store.json does not.
  std::vector<Tap> taps_of(const ShardPlan& shard) const;

  /// What the sidecar of a shard of this store says.
  ///   shard  ShardPlan::name
  ShardOrigin origin_of(const std::string& corpus, const std::string& shard) const {
    return {description_.fingerprint, corpus, shard};
  }

  /// Opens a shard that was planned for `corpus`, to read these of its taps; or all. Throws DataError that names it if
  /// it is broken, if its sidecar says that it belongs to another upstream, corpus or name, or if it neither holds nor
  /// could decode exactly the utterances of its plan.
  ShardReader open_shard(const std::string& corpus, const ShardPlan& plan, const std::vector<Tap>& taps) const;
  ShardReader open_shard(const std::string& corpus, const ShardPlan& plan) const {
    return open_shard(corpus, plan, taps_of(plan));
  }

 private:
  FeatureStore(std::filesystem::path folder, StoreDescription description)
      : folder_(std::move(folder)), description_(std::move(description)) {}

  std::filesystem::path folder_;
  StoreDescription description_;
};

}  // namespace strata

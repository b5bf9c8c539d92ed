#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "data/store/shard.h"

namespace strata {

/// What store.json says: everything that must agree before features are added or read.
struct StoreDescription {
  std::string upstream;     // its name in the study
  std::string fingerprint;  // of weights, config, normalisation, storage type and arithmetic
  hdf5::StoredType type = hdf5::StoredType::kFloat32;
  FeatureSpec spec;         // the taps that are stored, in order
  Json provenance = Json::object();  // model, versions: for people; never compared
};

/// The folder of one upstream below the store of a study: STORE/<upstream>.
class FeatureStore {
 public:
  /// Reads store.json. Throws ConfigError if there is none or its format is of another version.
  static FeatureStore open(const std::filesystem::path& folder);

  /// Opens it if it is there, else makes it. Throws ConfigError if it was made by another upstream, storage type or taps;
  /// the message says what differs.
  static FeatureStore open_or_create(const std::filesystem::path& folder, const StoreDescription& description);

  const StoreDescription& description() const { return description_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path corpus_folder(const std::string& corpus) const { return folder_ / corpus; }

 private:
  FeatureStore(std::filesystem::path folder, StoreDescription description)
      : folder_(std::move(folder)), description_(std::move(description)) {}

  std::filesystem::path folder_;
  StoreDescription description_;
};

/// An utterance to be extracted: what planning needs to know of it.
struct PlannedUtterance {
  std::string id;
  std::int64_t samples = 0;  // at 16 kHz, as the manifest says; decides the cut into shards, not what is stored
};

/// One unit of work: a shard and whom it holds, in order.
struct ShardPlan {
  std::string name;  // "shard-00000.h5"
  std::vector<std::string> ids;
};

/// The shards of one corpus: planned from the manifest alone, written down before work starts (generation-000.json, ..), so
/// that the finished store is the same whatever ranks and interruptions. What is planned stays; new utterances make a new generation.
class CorpusPlan {
 public:
  /// Reads the generations in `folder`; none if there is no such folder. Throws DataError for a broken file.
  static CorpusPlan load(const std::filesystem::path& folder);

  /// Plans those of `utterances` that no generation has: cut, in order, into shards of about `shard_bytes`.
  ///   treatment  how audio was treated (effects): must be the same in every generation, else ConfigError
  /// Returns the new shards; nothing is written yet.
  std::vector<ShardPlan> extend(const std::vector<PlannedUtterance>& utterances, double bytes_per_sample, const Json& treatment,
                                std::int64_t shard_bytes);

  /// Writes what `extend` added since as a generation, if anything.
  void save();

  const std::vector<ShardPlan>& shards() const { return shards_; }
  /// Those whose file is not there yet.
  std::vector<ShardPlan> missing() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::vector<ShardPlan> shards_;
  Json treatment_;
  std::size_t generations_ = 0;
  Json unsaved_;  // null if everything is on disk
};

/// Reads features of one corpus and upstream by utterance id. Opens every shard once. Thread-safe.
class CorpusFeatures {
 public:
  /// Throws DataError if a shard is broken; ConfigError if the corpus was not extracted, or not wholly: it says which
  /// shards are missing and what to run.
  CorpusFeatures(const FeatureStore& store, const std::string& corpus);

  bool contains(const std::string& id) const { return places_.contains(id); }
  /// Why `id` could not be decoded; nullptr if nothing is known.
  const std::string* failure(const std::string& id) const;
  /// T of one tap.
  std::int64_t frames(const std::string& id, std::size_t tap) const;
  std::int64_t samples(const std::string& id) const;
  /// [T, D] in the stored dtype. Throws DataError if there is no such utterance.
  at::Tensor read(const std::string& id, std::size_t tap) const;

  /// Has the frames of one tap read from disk while others are worked on; see ShardReader::prefetch.
  void prefetch(const std::string& id, std::size_t tap) const;

  std::size_t size() const { return places_.size(); }
  const std::vector<std::unique_ptr<ShardReader>>& shards() const { return shards_; }

 private:
  struct Place {
    std::size_t shard = 0;
    std::size_t utterance = 0;
  };
  const Place& place(const std::string& id) const;

  std::string name_;
  std::vector<std::unique_ptr<ShardReader>> shards_;
  std::unordered_map<std::string_view, Place> places_;  // by the ids that the shards hold
  std::unordered_map<std::string, std::string> failures_;
};

}  // namespace strata

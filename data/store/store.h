#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
  FeatureSpec spec;                  // the taps that are stored, in the upstream's order
  Json provenance = Json::object();  // model, versions: for people; never compared
  hdf5::Compression compression =
      hdf5::Compression::kNone;  // of shards that are planned from now on; no part of the fingerprint
  std::vector<Tap> available =
      {};  // all taps of the upstream, in its order; empty: not known, as in stores of format 1
  std::vector<std::string> first_taps = {};  // those of generations that name none; empty: all (the store never grew)

  bool operator==(const StoreDescription&) const = default;
};

struct ShardPlan;

/// The folder of one upstream below the store of a study: STORE/<upstream>. Its taps are the union of what the studies
/// that extracted into it asked for; every utterance gets all of them, whatever the study that adds it asks for. A
/// study sees only those that it lists (spec_of), so that its trials are those of a store made for it alone.
class FeatureStore {
 public:
  /// Reads store.json. Throws ConfigError if there is none or its format is of another version.
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

/// An utterance to be extracted: what planning needs to know of it.
struct PlannedUtterance {
  std::string id;
  std::int64_t samples = 0;  // at 16 kHz, as the manifest says; decides the cut into shards, not what is stored
};

/// One unit of work: a shard and whom it holds, in order.
struct ShardPlan {
  std::string name;  // "shard-00000.h5"
  std::vector<std::string> ids;
  std::vector<std::string> taps = {};  // names; empty: StoreDescription::first_taps
  hdf5::Compression compression = hdf5::Compression::kNone;
  std::size_t generation = 0;
};

/// Bytes of features a sample of audio gives, before compression.
double bytes_per_sample(const std::vector<Tap>& taps, hdf5::StoredType type);

/// Ids of utterances that could not be decoded, by ShardPlan::name.
using FailedIds = std::map<std::string, std::set<std::string>>;

/// The shards of one corpus: planned from the manifest and the taps alone, written down before work starts
/// (generation-000.json, ..), so that the finished store is the same whatever ranks and interruptions. What is planned
/// stays; new utterances, and new taps of utterances that are there, make new generations.
class CorpusPlan {
 public:
  /// Reads the generations in `folder`; none if there is no such folder. Throws DataError for a broken file.
  static CorpusPlan load(const std::filesystem::path& folder);

  /// The size of shards of a generation that comes to so many bytes: an 8192nd, at least 16 MiB and at most 256 MiB.
  /// Whoever reads a store maps each shard, and a process may have 65530 mappings (vm.max_map_count): shards of 16 MiB
  /// would end at 1 TB, these do so at 16 TB.
  static std::int64_t default_shard_bytes(double total_bytes);

  /// Plans those of `utterances` that lack taps of the store: cut, in order, into shards of about `shard_bytes` before
  /// compression. Those that lack the same taps make a generation of these taps.
  ///   treatment    how audio was treated (effects): must be the same in every generation, else ConfigError
  ///   shard_bytes  0: default_shard_bytes of each generation
  ///   again        of planned shards: they count as lacking the taps of those, and are planned again
  /// Returns the new shards; nothing is written yet.
  std::vector<ShardPlan> extend(const std::vector<PlannedUtterance>& utterances, const StoreDescription& store,
                                const Json& treatment, std::int64_t shard_bytes, const FailedIds& again = {});

  /// Writes what `extend` added since as generations, if anything.
  void save();

  /// Takes taps out of the plans in `folder`, one file after the other; what shards hold is not touched. A generation
  /// of nothing else keeps its number and the names of its shards, which are then `dropped`.
  static void drop_taps(const std::filesystem::path& folder, const std::vector<std::string>& taps,
                        const StoreDescription& store);

  const std::vector<ShardPlan>& shards() const { return shards_; }
  /// Names of shards that are planned no more; never given again.
  const std::vector<std::string>& dropped() const { return dropped_; }
  std::size_t generations() const { return generations_; }
  static std::filesystem::path generation_path(const std::filesystem::path& folder, std::size_t generation);
  /// Those whose file is not there yet.
  std::vector<ShardPlan> missing() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void add_generation(const std::vector<const PlannedUtterance*>& utterances, const std::vector<Tap>& taps,
                      const StoreDescription& store, std::int64_t shard_bytes);

  std::filesystem::path folder_;
  std::vector<ShardPlan> shards_;
  std::vector<std::string> dropped_;
  Json treatment_;
  std::size_t generations_ = 0;  // planned
  std::size_t saved_ = 0;        // of them, on disk
};

/// Reads features of one corpus and upstream by utterance id. Opens every shard that holds wanted taps once.
/// Thread-safe.
class CorpusFeatures {
 public:
  ///   taps  those that are read, such as FeatureStore::spec_of gives; empty: all of the store
  /// Throws DataError as FeatureStore::open_shard does; ConfigError if the corpus was not extracted, or not wholly: it
  /// says which shards are missing and what to run.
  CorpusFeatures(const FeatureStore& store, const std::string& corpus, std::vector<Tap> taps = {});

  /// True if all taps of it are there.
  bool contains(const std::string& id) const { return places_.contains(id); }
  /// Why `id` could not be decoded; nullptr if nothing is known.
  const std::string* failure(const std::string& id) const;
  /// T of one tap.
  std::int64_t frames(const std::string& id, std::size_t tap) const;
  std::int64_t samples(const std::string& id) const;
  /// [T, D] in `dtype()`.
  ///   tap  index into the taps given
  /// Throws DataError if there is no such utterance.
  at::Tensor read(const std::string& id, std::size_t tap) const;
  /// The first N frames of them into a buffer of the caller, converted on the way; see ShardReader::read_into.
  ///   out  [N, D] in float32 or `dtype()`, N <= T, on the CPU; each row contiguous, the rows may lie apart
  /// Throws ShapeError (both shapes) if it is otherwise, DataError as `read`. Thread-safe as `read` is, each thread
  /// with a buffer of its own.
  void read_into(const std::string& id, std::size_t tap, const at::Tensor& out) const;
  /// Of what is read: the stored one, float32 for int8.
  at::ScalarType dtype() const { return scalar_type(type_); }

  /// Has the frames of one tap read from disk while others are worked on; see ShardReader::prefetch.
  void prefetch(const std::string& id, std::size_t tap) const;

  std::size_t size() const { return places_.size(); }
  const std::vector<std::unique_ptr<ShardReader>>& shards() const { return shards_; }

 private:
  static constexpr std::size_t kNoPlace = ~std::size_t{0};
  /// Where some taps of an utterance are: a place for each generation that has wanted ones.
  struct Place {
    std::size_t shard = 0;
    std::size_t utterance = 0;
    std::size_t next = kNoPlace;  // of the same utterance, in list_
  };
  /// A tap of an utterance: of which shard, and its index there.
  struct StoredTap {
    const ShardReader* shard = nullptr;
    std::size_t tap = 0;
    std::size_t utterance = 0;
  };
  void open_shard(const FeatureStore& store, const ShardPlan& plan);
  void leave_out_incomplete();
  StoredTap find(const std::string& id, std::size_t tap) const;

  std::string name_;
  hdf5::StoredType type_;
  std::vector<Tap> taps_;
  std::vector<std::unique_ptr<ShardReader>> shards_;
  std::vector<std::vector<std::optional<std::size_t>>> tap_in_shard_;  // by shard, by tap: its index there
  std::vector<Place> list_;
  std::unordered_map<std::string_view, std::size_t> places_;  // by the ids that the shards hold: the last one in list_
  std::unordered_map<std::string, std::string> failures_;
};

}  // namespace strata

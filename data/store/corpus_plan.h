#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "data/store/store_description.h"

namespace strata {

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

}  // namespace strata

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/store/store.h"

namespace strata {

/// What copying writes, or would write.
struct CopyForecast {
  std::int64_t shards = 0;
  std::int64_t shards_there = 0;  // already, from a copy before
  std::int64_t bytes = 0;         // of shards and sidecars that are not there yet
};

/// Looks at what is there, writes nothing.
///   to       folder of the upstream in another store: new, or with some of the same in it
///   corpora  that are copied; empty: all
/// Throws ConfigError if the store has no such corpus, if a `strip` of it is not complete, or if `to` holds anything
/// else under the same names.
CopyForecast forecast_copy(const FeatureStore& from, const std::filesystem::path& to,
                           const std::vector<std::string>& corpora);

/// Does it. Tables first, then shard by shard, each written as an extraction writes it: killed, it leaves a store that
/// lacks some shards, which the same copy (or `strata extract`) completes. Frames are held against their checksums
/// before they are written; throws DataError that names a shard that is damaged or belongs elsewhere. Those of the copy
/// are, too, whether it was there or is new: one that is bad is copied again, so that afterwards `to` holds all shards
/// that the source holds, whole. Shards that the source lacks, the copy lacks too. One process at a time.
CopyForecast copy_store(
    const FeatureStore& from, const std::filesystem::path& to, const std::vector<std::string>& corpora,
    const BeforeChange& before_change = [] {});

/// Removes from the source what `copy_store` has copied, to make a move of it: of each corpus the shards before the
/// plans, store.json last, so that the same copy and removal go on where they were killed.
void remove_copied(
    const FeatureStore& from, const std::vector<std::string>& corpora, const BeforeChange& before_change = [] {});

}  // namespace strata

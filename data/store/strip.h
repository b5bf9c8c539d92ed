#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/store/store.h"

namespace strata {

/// What is to be taken out of the store of one upstream.
struct StripRequest {
  std::vector<std::string> taps;     // of all corpora
  std::vector<std::string> corpora;  // with all that is of them
};

/// What stripping does, or would do.
struct StripForecast {
  std::int64_t shards_rewritten = 0;
  std::int64_t shards_removed = 0;
  std::int64_t bytes_freed = 0;  // of frames in rewritten shards, of whole files in removed ones
};

/// Looks at every shard; nothing is written. Counts what an interrupted `strip` left, too. Throws ConfigError if the
/// store has no such tap or corpus, or if no tap would be left; DataError if a shard is broken or belongs
/// elsewhere.
StripForecast forecast_strip(const FeatureStore& store, const StripRequest& request);

/// Does it. First no plan names the taps any more, then shards that hold them are rewritten one by one, beside, and
/// renamed, or removed if they hold nothing else; the bytes of what is kept stay what they are. A kill leaves a store
/// that is readable, but for one shard whose sidecar was already replaced; the next `strip` (of anything) or `extract`
/// completes that, and the next `strip` the rest. Shards must have their checksums, else DataError: damage is not
/// written anew. One process at a time.
StripForecast strip(
    const FeatureStore& store, const StripRequest& request, const BeforeChange& before_change = [] {});

/// The folders of the upstreams in the store of a study, by name; of one if it is named. Throws ConfigError if there is
/// none.
std::vector<std::filesystem::path> upstreams_in(const std::filesystem::path& store, const std::string& upstream);

/// The folders of its corpora, by name.
std::vector<std::filesystem::path> corpora_of(const FeatureStore& store);

/// False for names that are none, such as paths.
bool has_corpus(const FeatureStore& store, const std::string& corpus);

/// One corpus of one upstream, as a whole.
struct CorpusUse {
  std::filesystem::path upstream;  // the folder of the FeatureStore
  std::string corpus;
  std::int64_t bytes = 0;                     // of all its files
  std::filesystem::file_time_type last_used;  // when a sweep last opened it; if none did, when it was planned
};

/// What has to go so that at most `limit_bytes` are left: whole corpora, those that were used longest ago first.
///   folders  of FeatureStores
std::vector<CorpusUse> least_recently_used(const std::vector<std::filesystem::path>& folders, std::int64_t limit_bytes);

/// True if a strip of this corpus is replacing a shard, or was killed while it did: a sidecar may then be newer than
/// its shard.
bool is_replacing(const std::filesystem::path& corpus_folder);

/// Completes the replacement of a shard at which a strip of this corpus was killed, if one was.
void finish_replacement(const std::filesystem::path& corpus_folder);

}  // namespace strata

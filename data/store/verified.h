#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "data/store/shard.h"

namespace strata {

/// Which shards of a corpus were read whole and found to have their checksums: by name, with the size and time of change that
/// they had, in `verified.json` beside them. So a store is read once for its checksums, not in each run; a shard that was
/// written anew or touched is read again. When the record was written tells when the corpus was last used. Not
/// thread-safe.
class VerifiedShards {
 public:
  /// A record that is missing or broken counts as empty.
  explicit VerifiedShards(const std::filesystem::path& corpus_folder);

  bool contains(const ShardReader& shard) const;
  void add(const ShardReader& shard);
  /// Writes the record. A folder that cannot be written to is no error: the next run verifies again.
  void save();

 private:
  std::filesystem::path path_;
  std::map<std::string, std::string> known_;  // name -> "size time"
};

/// Throws DataError that names the shard and the first damaged utterance if its frames do not have their checksums.
void require_whole(const ShardReader& shard);

}  // namespace strata

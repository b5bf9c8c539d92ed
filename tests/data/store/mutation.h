#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

/// Campaigns of damaged feature stores. Whatever is in its files, a store that is opened and read as extraction,
/// training and `verify` do either is refused with an Error of one line that names a file, or says which utterances are
/// damaged, or gives the frames that were written; never a crash, another exception, or an allocation far beyond the
/// file's size. What a case is follows from (campaign, seed, case).
struct MutationResult {
  std::int64_t refused = 0;
  std::int64_t damaged = 0;  // opened; the checksums of utterances tell
  std::int64_t whole = 0;
  std::int64_t died = 0;  // "hostile" only: HDF5 ended the process or kept it busy; apart.h is for that
};

/// shard: bytes anywhere in a shard; swap: parts of a shard, and files, exchanged; sidecar, store, generation,
/// verified, long_utterances: the JSON files; hostile: a shard changed outside its frames, with a sidecar that fits, so
/// that HDF5 sees it.
std::vector<std::string> mutation_campaigns();

/// Runs cases first .. first + count - 1, those of "hostile" each in a process of its own. Throws std::runtime_error,
/// which names campaign, seed and case and leaves the damaged store in `work`, for an answer that is not allowed.
MutationResult mutate_stores(const std::string& campaign, std::uint64_t seed, std::int64_t first, std::int64_t count,
                             const std::filesystem::path& work);

}  // namespace strata

#include "tools/benchmarks/new_store.h"

#include <fmt/format.h>

namespace strata {

namespace fs = std::filesystem;

std::vector<Tap> taps_of(std::int64_t layers, std::int64_t width) {
  std::vector<Tap> taps;
  for (std::int64_t l = 0; l < layers; ++l) taps.push_back({fmt::format("h{}", l), width, 320});
  return taps;
}

FeatureStore make_store(const fs::path& folder, const std::vector<Tap>& taps) {
  fs::remove_all(folder);
  return FeatureStore::open_or_create(folder, {"bench", "bench", kNoiseType, {taps, 400}});
}

}  // namespace strata

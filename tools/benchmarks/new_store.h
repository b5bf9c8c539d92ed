#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/store/store.h"

namespace strata {

constexpr std::int64_t kNoiseShardBytes = 16 << 20;
constexpr auto kNoiseType = hdf5::StoredType::kFloat16;

/// Layers h0, h1, .. at 20 ms.
std::vector<Tap> taps_of(std::int64_t layers, std::int64_t width);

/// An empty store of frames of `kNoiseType`; what is in the folder goes.
FeatureStore make_store(const std::filesystem::path& folder, const std::vector<Tap>& taps);

}  // namespace strata

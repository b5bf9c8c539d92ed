#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/store/store.h"

namespace strata {

/// [rows, columns] with `value`(row, column) everywhere, in the dtype of `type`.
at::Tensor table(std::int64_t rows, std::int64_t columns, hdf5::StoredType type,
                 double (*value)(std::int64_t, std::int64_t));

/// Values that every floating-point type holds exactly: row + column / 4, at most 63.
at::Tensor grid(std::int64_t rows, std::int64_t columns, hdf5::StoredType type = hdf5::StoredType::kFloat32);

/// An utterance with `frames[i]` frames of `grid` for `taps[i]`.
ShardUtterance utterance(const std::string& id, const std::vector<Tap>& taps, const std::vector<std::int64_t>& frames,
                         hdf5::StoredType type = hdf5::StoredType::kFloat32);

/// Plans `utterances` as one shard of a corpus, in a store of one upstream made for it, and writes it.
FeatureStore write_store(const std::filesystem::path& folder, const std::vector<Tap>& taps, const std::string& corpus,
                         const std::vector<ShardUtterance>& utterances,
                         hdf5::StoredType type = hdf5::StoredType::kFloat32);

}  // namespace strata

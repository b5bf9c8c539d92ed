#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "data/store/store.h"

namespace strata {

/// What a way of computing changes, by tap: relative_rms = rms(changed - reference) / rms(reference) and relative_peak =
/// peak(changed - reference) / peak(reference).
///   taps                indices into the upstream's spec
///   reference, changed  [T, D] of each
Json change_by_tap(const Upstream& upstream, const std::vector<std::size_t>& taps,
                   const std::vector<at::Tensor>& reference, const std::vector<at::Tensor>& changed);

/// Writes compute.json into the store's folder, if `upstream` computes in another arithmetic than float32 and it is not
/// there: `change_by_tap` against float32 on the first of `utterances` that can be decoded, and says the largest.
///   read  the treated audio of an utterance; throws DataError
void record_compute(const std::filesystem::path& store_folder, const Upstream& upstream,
                    const std::vector<std::size_t>& taps, const std::vector<PlannedUtterance>& utterances,
                    const std::function<std::vector<float>(const std::string& id)>& read);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "data/store/corpus_plan.h"

namespace strata {

/// What a way of computing changes, by tap: relative_rms = rms(changed - reference) / rms(reference) and relative_peak
/// = peak(changed - reference) / peak(reference); not finite (null in a file) where one of the two is not.
///   taps                indices into the upstream's spec
///   reference, changed  [T, D] of each
Json change_by_tap(const Upstream& upstream, const std::vector<std::size_t>& taps,
                   const std::vector<at::Tensor>& reference, const std::vector<at::Tensor>& changed);

/// True if the record of a measurement is there: its values are those of `of`, and its "change" has each of `taps`, or
/// "not_measured" says why it has none. One that is broken is none.
bool is_recorded(const std::filesystem::path& path, const Json& of, const Upstream& upstream,
                 const std::vector<std::size_t>& taps);

/// Writes compute.json into the store's folder, if `upstream` computes in another arithmetic than float32 and it is not
/// recorded there for these taps: `change_by_tap` against float32 on the first of `utterances` that can be computed so,
/// and says the largest; or says why it could not be measured.
///   read  the treated audio of an utterance; throws DataError
void record_compute(const std::filesystem::path& store_folder, const Upstream& upstream,
                    const std::vector<std::size_t>& taps, const std::vector<PlannedUtterance>& utterances,
                    const std::function<std::vector<float>(const std::string& id)>& read);

}  // namespace strata

#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "data/store/corpus_plan.h"

namespace strata {

/// What computing in windows does to the features of one utterance: `change_by_tap` against those of the whole.
Json measure_windows(const Upstream& upstream, const std::vector<std::size_t>& taps, const at::Tensor& wave);

/// Writes CORPUS/long-utterances.json in the store, if there are utterances that `upstream` computes in windows: their
/// ids, and `measure_windows` on the start, a quarter longer than a window, of the first that can be computed as a
/// whole, or "not_measured", why none can. It is written when it is not there, names other utterances or lacks a tap.
///   read  the treated audio of an utterance; throws DataError
void record_long_utterances(const std::filesystem::path& corpus_folder, const Upstream& upstream,
                            const std::vector<std::size_t>& taps, const std::vector<PlannedUtterance>& utterances,
                            const std::function<std::vector<float>(const std::string& id)>& read);

/// What such a record says, in a line. Throws ConfigError or DataError that names the file if it is none.
std::string long_utterances_text(const std::filesystem::path& path);

}  // namespace strata

#pragma once

#include <cstdint>
#include <filesystem>

#include "core/config/json.h"

namespace strata {

/// How long a store of very many utterances takes to open, the best of the rounds; prints it. Written at the first time.
///   taps  of one frame of 4 numbers an utterance
Json open_many_utterances(const std::filesystem::path& folder, std::int64_t utterances, std::int64_t taps, int rounds);

}  // namespace strata

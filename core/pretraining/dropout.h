#pragma once

#include "core/pretraining/objective.h"
#include "core/upstreams/modules.h"

namespace strata {

/// Dropout whose zeroes are drawn from keys of (seed, step, utterance, how many times it was called): each value is
/// zeroed with `probability`, the others are divided by what is left. Empty, that is nothing at all, in passes that do
/// not train or where the probability is 0. One for each pass; not thread-safe.
Dropout keyed_dropout(double probability, const Pass& pass, std::uint64_t utterance);

}  // namespace strata

#pragma once

#include <string>

#include "core/upstreams/upstream.h"
#include "data/store/store_description.h"
#include "trainers/study/study.h"

namespace strata {

/// What a store of this upstream says: fingerprint with storage type and arithmetic, and the taps that
/// this study wants, in the upstream's order.
StoreDescription describe_store(const std::string& name, const UpstreamEntry& entry, const Upstream& upstream,
                                const std::string& study_file);

}  // namespace strata

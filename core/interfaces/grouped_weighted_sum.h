#pragma once

#include <cstdint>
#include <vector>

namespace strata {

/// Lengths of the runs that `layers` layers are cut into: as equal as can be, the first `layers` mod `groups` one
/// longer.
std::vector<std::int64_t> layer_group_sizes(std::int64_t layers, std::int64_t groups);

}  // namespace strata

#pragma once

#include <cstdint>
#include <vector>

namespace strata {

/// Which `kept` layers stand for `layers` of them: floor(i (layers - 1) / (kept - 1) + 0.5), the first and the last
/// among them; all if they are as many. 2 <= kept <= layers, or both 1.
std::vector<std::int64_t> evenly_spaced_layers(std::int64_t layers, std::int64_t kept);

}  // namespace strata

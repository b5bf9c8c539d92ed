#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// The name closest to `word` by edit distance, or "" if none is within a third of its length (at least two edits).
std::string nearest_name(std::string_view word, const std::vector<std::string>& names);

/// `, did you mean "x"?` or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& names);

}  // namespace strata

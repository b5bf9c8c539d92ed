#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// Greedy CTC: repeats in the path of best symbols collapse, then the symbols in `dropped` (blank, end symbol) go.
/// Symbols after an end symbol stay, and a dropped symbol between two equal ones keeps them apart.
///   path  best symbol of each valid frame
std::vector<std::int64_t> ctc_collapse(const std::vector<std::int64_t>& path, const std::vector<std::int64_t>& dropped);

/// The symbols' names with a space between: phones, and the tokens of ASR.
/// Throws DataError if an id has no name.
std::string spaced_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols);

/// Characters one after the other; a slot mark prints as "B-name " or " E-name" (SF).
std::string slot_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols);

/// ASR: letters joined, "|" between words; words are what stands between white space then.
std::string letter_text(const std::vector<std::int64_t>& ids, const std::vector<std::string>& symbols);

}  // namespace strata

#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics/metric.h"

namespace strata {

/// Levenshtein distance with unit costs; O(hypothesis * reference) time, O(reference) memory.
template <class Item>
std::int64_t edit_distance(const std::vector<Item>& hypothesis, const std::vector<Item>& reference) {
  std::vector<std::int64_t> row(reference.size() +
                                1);  // distance of the hypothesis so far to each start of the reference
  std::iota(row.begin(), row.end(), std::int64_t{0});
  for (std::size_t i = 0; i < hypothesis.size(); ++i) {
    std::int64_t diagonal = row[0];
    row[0] = static_cast<std::int64_t>(i) + 1;
    for (std::size_t j = 0; j < reference.size(); ++j) {
      const std::int64_t substituted = diagonal + (hypothesis[i] == reference[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

/// Edits and the length of the reference. Sums over a split, divided once, are its error rate.
template <class Item>
SumCount edits(const std::vector<Item>& hypothesis, const std::vector<Item>& reference) {
  return {static_cast<double>(edit_distance(hypothesis, reference)), static_cast<double>(reference.size())};
}

/// Split at every single space, so an empty text is one empty token (s3prl's PER, and WER outside ASR).
std::vector<std::string> split_at_spaces(std::string_view text);

/// Split at runs of white space; an empty text has no token (s3prl's ASR).
std::vector<std::string> split_at_white_space(std::string_view text);

/// Unicode code points of UTF-8, not normalised; a byte that belongs to no code point counts as one.
std::vector<char32_t> code_points(std::string_view text);

/// Edits of tokens split at single spaces: PER, and WER of plain text.
SumCount token_edits(const std::string& hypothesis, const std::string& reference);

/// Edits of code points, spaces included: CER.
SumCount character_edits(const std::string& hypothesis, const std::string& reference);

/// The rate of summed edits, a fraction. Throws DataError if the references are empty, for which there is no rate.
double error_rate(const SumCount& edits);

/// The rate of summed edits in percent, as s3prl's ASR gives it: 100 if the references are empty.
double asr_error_rate_percent(const SumCount& edits);

}  // namespace strata

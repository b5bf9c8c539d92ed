#include "core/metrics/error_rates.h"

#include <cctype>

#include "core/base/error.h"

namespace strata {

std::vector<std::string> split_at_spaces(std::string_view text) {
  std::vector<std::string> tokens;
  for (std::size_t start = 0;;) {
    const std::size_t end = text.find(' ', start);
    tokens.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return tokens;
    start = end + 1;
  }
}

std::vector<std::string> split_at_white_space(std::string_view text) {
  std::vector<std::string> tokens;
  constexpr std::string_view kWhite = " \t\n\r\v\f";
  for (std::size_t start = text.find_first_not_of(kWhite); start != std::string_view::npos;) {
    const std::size_t end = text.find_first_of(kWhite, start);
    tokens.emplace_back(text.substr(start, end - start));
    start = text.find_first_not_of(kWhite, end);
  }
  return tokens;
}

std::vector<char32_t> code_points(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::vector<char32_t> points;
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char lead = byte(i);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    char32_t point = length == 1 ? lead : lead & (0x7F >> length);
    std::size_t read = 1;
    while (read < length && i + read < text.size() && (byte(i + read) & 0xC0) == 0x80) {
      point = (point << 6) | (byte(i + read) & 0x3F);
      ++read;
    }
    const bool whole = read == length;
    points.push_back(whole ? point : lead);
    i += whole ? length : 1;
  }
  return points;
}

SumCount token_edits(const std::string& hypothesis, const std::string& reference) {
  return edits(split_at_spaces(hypothesis), split_at_spaces(reference));
}

SumCount character_edits(const std::string& hypothesis, const std::string& reference) {
  return edits(code_points(hypothesis), code_points(reference));
}

double error_rate(const SumCount& edits) {
  if (edits.count == 0) throw DataError("error rate: the references are empty, so there is nothing to divide by");
  return edits.value();
}

double asr_error_rate_percent(const SumCount& edits) {
  return edits.count == 0 ? 100.0 : 100.0 * edits.sum / edits.count;
}

}  // namespace strata

#include "trainers/tasks/alphabet.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/metrics/ctc_decoding.h"
#include "core/metrics/error_rates.h"
#include "core/metrics/vocabulary.h"

namespace strata {
namespace {

constexpr std::int64_t kBlank = 0, kSuperbEnd = 2, kSuperbUnknown = 3, kSuperbFirst = 4;

std::string utf8(char32_t point) {
  const auto byte = [&](char32_t mark, int shift) { return static_cast<char>(mark | (point >> shift & 0x3F)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {byte(0xC0, 6), byte(0x80, 0)};
  if (point < 0x10000) return {byte(0xE0, 12), byte(0x80, 6), byte(0x80, 0)};
  return {byte(0xF0, 18), byte(0x80, 12), byte(0x80, 6), byte(0x80, 0)};
}

std::string single_spaced(const std::string& text) {
  return fmt::format("{}", fmt::join(split_at_white_space(text), " "));
}

/// The letters of English; what is beyond ASCII stays.
std::string capitals(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

}  // namespace

Alphabet Alphabet::of(const std::vector<std::string>& texts) {
  Alphabet made;
  std::set<char32_t> points;
  for (const std::string& text : texts) {
    for (const char32_t point : code_points(made.normalized(text))) points.insert(point);
  }
  made.symbols_ = {"<blank>", "<unk>"};
  made.unknown_ = 1;
  made.silent_ = {kBlank};
  for (const char32_t point : points) {
    made.index_[point] = static_cast<std::int64_t>(made.symbols_.size());
    made.symbols_.push_back(utf8(point));
  }
  return made;
}

Alphabet Alphabet::superb() {
  Alphabet made;
  made.superb_ = true;
  made.symbols_ = letter_vocabulary();
  made.unknown_ = kSuperbUnknown;
  made.silent_ = {kBlank, kSuperbEnd};
  for (auto i = kSuperbFirst; i < static_cast<std::int64_t>(made.symbols_.size()); ++i) {
    const std::string& name = made.symbols_[static_cast<std::size_t>(i)];
    made.index_[name == "|" ? U' ' : static_cast<char32_t>(name[0])] = i;
  }
  return made;
}

std::string Alphabet::normalized(const std::string& text) const {
  return superb_ ? capitals(single_spaced(text)) : single_spaced(text);
}

std::vector<std::int64_t> Alphabet::reference(const std::string& text) const {
  std::vector<std::int64_t> ids;
  for (const char32_t point : code_points(normalized(text) + (superb_ ? " " : ""))) {
    const auto found = index_.find(point);
    ids.push_back(found == index_.end() ? kUnknown : found->second);
  }
  return ids;
}

std::vector<std::int64_t> Alphabet::targets(const std::string& text) const {
  std::vector<std::int64_t> ids = reference(text);
  std::replace(ids.begin(), ids.end(), kUnknown, unknown_);
  if (superb_) ids.push_back(kSuperbEnd);
  return ids;
}

std::vector<std::int64_t> Alphabet::hypothesis(const std::vector<std::int64_t>& path) const {
  return ctc_collapse(path, silent_);
}

std::string Alphabet::text(const std::vector<std::int64_t>& hypothesis) const {
  if (superb_) return single_spaced(letter_text(hypothesis, symbols_));
  std::string text;
  for (const std::int64_t id : hypothesis) text += symbols_.at(static_cast<std::size_t>(id));
  return text;
}

}  // namespace strata

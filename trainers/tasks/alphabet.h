#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace strata {

/// The symbols that a character CTC writes texts in. Immutable.
class Alphabet {
 public:
  /// The characters of these texts: "<blank>" (0), "<unk>" (1), then every code point that occurs, sorted; the space
  /// between words is one of them and texts stand as they are. (s3prl's newer code has "<pad>", "<eos>", "<unk>" before
  /// its sorted characters, and ends each target with "<eos>".)
  static Alphabet of(const std::vector<std::string>& texts);

  /// SUPERB's 32 symbols, those of fairseq's English models: "<s>" (0, the blank), "<pad>", "</s>", "<unk>", "|",
  /// letters, "'". Texts are in capitals, "|" follows every word, and a target ends with "</s>", which is never
  /// printed.
  static Alphabet superb();

  /// Names by index; index 0 is the blank.
  const std::vector<std::string>& symbols() const { return symbols_; }

  /// What CTC is to align; characters that are no symbol become "<unk>".
  std::vector<std::int64_t> targets(const std::string& text) const;

  /// The symbols that an unit error rate compares: those of `targets` that are printed, but kUnknown for "<unk>", which
  /// no hypothesis has.
  std::vector<std::int64_t> reference(const std::string& text) const;
  static constexpr std::int64_t kUnknown = -1;

  /// The best symbols of the frames, repeats collapsed, without blanks and end symbols.
  std::vector<std::int64_t> hypothesis(const std::vector<std::int64_t>& path) const;

  /// The text of a hypothesis.
  std::string text(const std::vector<std::int64_t>& hypothesis) const;

  /// A text as hypotheses are compared with it: one space between words; in capitals if the alphabet is.
  std::string normalized(const std::string& text) const;

 private:
  std::vector<std::string> symbols_;
  std::map<char32_t, std::int64_t> index_;
  std::int64_t unknown_ = 0;
  std::vector<std::int64_t> silent_;  // never printed: blank, end
  bool superb_ = false;
};

}  // namespace strata

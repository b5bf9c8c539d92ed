#include "data/corpora/text.h"

#include <algorithm>
#include <cstdint>

namespace strata {
namespace {

/// Decodes the code point at `at` and moves behind it; a malformed byte gives U+FFFD and is passed by itself.
char32_t next_code_point(std::string_view s, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<std::uint8_t>(s[i]) : std::uint8_t{0}; };
  const std::uint8_t lead = byte(at++);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 && lead < 0xF8 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC2 ? 1 : 0;
  if (more == 0 || lead >= 0xF8) return 0xFFFD;
  char32_t code = lead & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0xFFFD;
    code = (code << 6) | (byte(at + i) & 0x3F);
  }
  at += more;
  return code;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool between(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

char32_t lower(char32_t c) {
  if (between(c, 'A', 'Z')) return c + 32;
  if (between(c, 0xC0, 0xDE) && c != 0xD7) return c + 32;  // Latin-1
  if (c == 0x178) return 0xFF;
  if (c == 0x130) return 'i';
  const bool odd_is_capital = between(c, 0x139, 0x148) || between(c, 0x179, 0x17E);
  if (odd_is_capital) return c + (c & 1);
  if (between(c, 0x100, 0x137) || between(c, 0x14A, 0x177)) return c | 1;  // Latin Extended-A
  if (between(c, 0x218, 0x21B)) return c | 1;                              // Romanian
  if (between(c, 0x391, 0x3A9) && c != 0x3A2) return c + 32;               // Greek
  if (c == 0x386) return 0x3AC;
  if (between(c, 0x388, 0x38A)) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 63;
  if (between(c, 0x410, 0x42F)) return c + 32;  // Cyrillic
  if (between(c, 0x400, 0x40F)) return c + 80;
  if (c == 0x490) return 0x491;
  return c;
}

/// Of the lower-case forms above.
bool is_letter_or_digit(char32_t c) {
  if (c < 0x80) return between(c, 'a', 'z') || between(c, '0', '9');
  return (between(c, 0xDF, 0x24F) && c != 0xF7) || between(c, 0x3AC, 0x3CE) || c == 0x390 || between(c, 0x430, 0x52F) ||
         between(c, 0x300, 0x36F);  // combining accents belong to the letter before
}

constexpr char32_t kApostrophe = '\'', kTypographicApostrophe = 0x2019;

}  // namespace

std::string normalize_text(std::string_view utf8) {
  std::string out;
  bool blank = false, apostrophe = false;
  for (std::size_t at = 0; at < utf8.size();) {
    const char32_t c = lower(next_code_point(utf8, at));
    if (is_letter_or_digit(c)) {
      if (!out.empty() && blank) out += ' ';
      if (!out.empty() && !blank && apostrophe) out += '\'';
      append_utf8(out, c);
      blank = apostrophe = false;
    } else if ((c == kApostrophe || c == kTypographicApostrophe) && !apostrophe) {
      apostrophe = true;  // written when a letter follows at once
    } else {
      blank = true;
      apostrophe = false;
    }
  }
  return out;
}

bool has_digit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace strata

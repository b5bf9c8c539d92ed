#pragma once

#include <string>
#include <string_view>

namespace strata {

/// A transcript as ASR by characters wants it: lower case; letters, digits and apostrophes inside words stay; all else
/// (punctuation, dashes, line ends) becomes one blank; none at the ends. UTF-8; letters of Latin, Greek and Cyrillic
/// are made lower case by fixed rules, so that no locale has a say. Bytes that are no UTF-8 become blanks.
std::string normalize_text(std::string_view utf8);

/// True if the text has a digit: what was said ("ten", "one zero") cannot be known from it.
bool has_digit(std::string_view text);

}  // namespace strata

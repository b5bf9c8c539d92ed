#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// The phones of each text by the rules of the program espeak-ng, in IPA: separated by one blank, without stress, and
/// without marks where a foreign word is read by another language's rules. A long vowel or an affricate is one phone.
/// Texts are given to as many runs of the program at a time as there are cores.
///   voice  espeak-ng's name of a language, such as "nl"
/// Throws ConfigError if the program is not there or does not have the voice.
std::vector<std::string> espeak_phones(const std::vector<std::string>& texts, const std::string& voice);

/// What espeak-ng prints with `--ipa --sep=_`, as `espeak_phones` gives it.
std::string phones_of_output(std::string_view printed);

}  // namespace strata

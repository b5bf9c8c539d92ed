#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace strata {

/// A recording of one prompt by one person, from an unpacked Debian package.
struct DebianRecording {
  std::string id;
  std::filesystem::path audio;
  double duration = 0;   // seconds
  std::string source;    // "asterisk", "fillets", "tuxpaint"
  std::string speaker;   // a person: "allison" speaks English and Spanish
  std::string language;  // ISO 639-1
  std::string prompt;    // "asterisk/digits/1": the same prompt means the same in every language
  std::string section;   // what must not be divided between splits of ASR: the level of the game, the stamp
  std::string text;      // as written, UTF-8; "" where unknown
};

/// Counts of what was left out, by reason.
using SkipCounts = std::map<std::string, std::int64_t>;

/// Reads `root`/usr/share as `dpkg -x` leaves it. Each returns nothing if its packages are not there. Sorted by id.

/// asterisk-core-sounds-*, asterisk-prompt-*: folders `<ll>_<CC>_<sex>_<Name>`, `es` (asterisk-prompt-es-co) and `fr`
/// (asterisk-prompt-fr-armelle). No transcripts. Tones, beeps and `silence/` are skipped. Of a prompt that is
/// there as `.wav` and as `.gsm` the latter is taken: the packages of the second voices have GSM only, and a codec must
/// not give a voice away.
std::vector<DebianRecording> read_asterisk(const std::filesystem::path& root, SkipCounts& skipped);

/// fillets-ng-data-nl, -cs with the transcripts of fillets-ng-data. Without a line in the scripts a sound is no speech.
std::vector<DebianRecording> read_fillets(const std::filesystem::path& root, SkipCounts& skipped);

/// tuxpaint-stamps-default: spoken descriptions `<stamp>_desc_<ll>.ogg` (English: `_desc.ogg`), text in `<stamp>.txt`;
/// one voice a language.
std::vector<DebianRecording> read_tuxpaint(const std::filesystem::path& root, SkipCounts& skipped);

/// Sets the durations, and removes what cannot be decoded ("unreadable", with a warning), is shorter than 0.3 s
/// ("too_short") or stays below 1 % of full scale ("silent"). Decodes everything: about 1000 hours of audio an hour and
/// core.
void keep_audible(std::vector<DebianRecording>& recordings, SkipCounts& skipped);

}  // namespace strata

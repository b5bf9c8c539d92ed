#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "data/corpora/debian_recordings.h"

namespace strata {

using Splits = std::map<std::string, std::vector<std::string>>;  // "sid.train" -> ids

/// Fewest utterances of a voice that takes part in SID and LID.
inline constexpr std::size_t kFewestPerVoice = 60;

/// A number in [0, 1) for each recording, the same for all that share a text: the hash of the first of the prompts that
/// are tied together by an equal prompt id (in any language), an equal transcript in one language, or files of equal
/// bytes.
std::vector<double> text_draws(const std::vector<DebianRecording>& recordings);

/// Speaker identification: people with at least kFewestPerVoice recordings; 70 % of the texts train, 15 % dev, 15 %
/// test by their draw. No text is in two splits. Adds nothing if fewer than two people are left. Notes: the speakers.
void add_sid(const std::vector<DebianRecording>& recordings, const std::vector<double>& draws, Splits& splits,
             Json& notes);

/// Language identification by voices and texts that training never saw: people with at least kFewestPerVoice
/// recordings. Who speaks several languages trains, so that a voice says nothing of the language; of the others in each
/// language, the one with the fewest recordings is the test's, the rest train. A language without both is dropped.
/// Texts as in SID: train and dev are training voices on the texts of SID's train and dev; test is test voices on the
/// texts of SID's dev and test. Adds nothing if fewer than two languages are left. Notes: languages, dropped, voices of
/// each.
void add_lid(const std::vector<DebianRecording>& recordings, const std::vector<double>& draws, Splits& splits,
             Json& notes);

/// Speech recognition in one language: recordings with a transcript without digits. Whole sections (levels of the game)
/// go to a split: in the order of their hashes, test until it has 10 % of the recordings, then dev, the rest train.
/// Then a transcript that test has leaves dev and train, one that dev has leaves train. Adds nothing below 100
/// recordings.
void add_asr(const std::vector<DebianRecording>& recordings, const std::string& language, Splits& splits, Json& notes);

}  // namespace strata

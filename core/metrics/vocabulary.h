#pragma once

#include <string>
#include <vector>

namespace strata {

/// The 74 symbols of SUPERB's phoneme recognition: <pad> (the CTC blank), <eos>, <unk>, SIL, SPN and 69 phones with
/// stress.
std::vector<std::string> phone_vocabulary();

/// The 32 symbols of SUPERB's ASR: <s> (the CTC blank), <pad>, </s>, <unk>, then "|" between words, letters by
/// frequency.
std::vector<std::string> letter_vocabulary();

/// The symbols of SUPERB's slot filling: <pad> (the CTC blank), <eos>, <unk>, space, A to Z, "'", then B-x, E-x per
/// slot.
std::vector<std::string> slot_vocabulary(const std::vector<std::string>& slots);

}  // namespace strata

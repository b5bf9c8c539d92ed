#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "data/manifest/manifest.h"
#include "trainers/pretrain/study.h"

namespace strata {

/// Which utterances a pre-training reads, and how many it does not.
struct SpeechSelection {
  std::map<std::string, std::vector<std::size_t>> read;  // by corpus: indices of train and dev, in the manifest's order
  std::set<std::string> dev;                             // `corpus/id`; all others of `read` are train
  std::int64_t held_out = 0;                             // of those listed for train or dev
};

/// Follows PretrainSpeech's lists. What is held out by one corpus's list is held out of all, by its id; so is what is
/// dev out of train. Throws ConfigError, naming the study's key, for a list entry that names nothing, or if nothing is
/// left to train on.
SpeechSelection select_speech(const PretrainStudy& study, const std::map<std::string, Corpus>& corpora);

}  // namespace strata

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "data/audio/effects/effect.h"
#include "data/manifest/manifest.h"
#include "data/speech/speech.h"

namespace strata {

/// A corpus of made-up speech, written and decoded once: each utterance is a melody of notes, some harmonics each, that
/// last 150 to 350 ms, with a little noise. Something to predict, in a second of computing.
class Voices {
 public:
  /// `utterances` of 0.5 to 1.5 s, decoded into `folder`. Called by every rank; rank 0 writes.
  Voices(const std::filesystem::path& folder, int utterances, const std::function<void()>& barrier, bool writes);

  const Speech& speech() const { return *speech_; }

 private:
  Effects none_;
  std::unique_ptr<Corpus> corpus_;
  std::unique_ptr<SpeechPlan> plan_;
  std::unique_ptr<Speech> speech_;
};

}  // namespace strata

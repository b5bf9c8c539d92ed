#pragma once

#include <string>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// What is told of a model that was trained.
struct CardFacts {
  std::string name;
  Json model;   // as in PretrainModel, resolved: objective, optimizer, schedule, steps, ..
  Json speech;  // PretrainSpeech
  std::vector<std::string> corpora;
  std::int64_t train_utterances = 0, dev_utterances = 0, held_out = 0, too_short = 0, failed = 0;
  double train_hours = 0, dev_hours = 0;
  Json units;                   // Units::record(), or null
  std::int64_t parameters = 0;  // trained, heads included
  std::vector<Json> history;    // of the journal
  double seconds = 0;           // of training
  Json provenance;              // versions, host, command line, ranks
};

/// CARD.md: data, objective, command, seed, loss curve, time, licence of the speech.
std::string model_card(const CardFacts& facts);

}  // namespace strata

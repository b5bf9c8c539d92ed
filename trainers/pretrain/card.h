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
  Json units;                     // Units::record(), or null
  std::vector<Json> unit_models;  // pretrain.json of the study's models that the units come from, the nearest first
  std::int64_t parameters = 0;    // trained, heads included
  std::string weights_sha256;     // of model.safetensors
  std::vector<Json> history;      // of the journal
  double seconds = 0;             // of training
  Json provenance;                // versions, host, command line, ranks
};

/// CARD.md: data and what was held out of it, objective, command, seed, loss curve, time, licence of the speech, what
/// the units come from, checksum of the weights.
std::string model_card(const CardFacts& facts);

}  // namespace strata

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "distributed/mpi.h"
#include "trainers/pretrain/study.h"

namespace strata {

/// What `pretrain` is told besides the study.
struct PretrainOptions {
  ModelSearch search;             // where models are looked for that units come from
  std::vector<std::string> only;  // models to train, and those that their units come from; empty: all
  int decoders = 0;               // threads of a rank that decode; 0: its share of the node's cores
  int threads = 1;                // intra-op threads of a rank; with others, the last bits of the result are others
  bool show_progress = true;
  Json provenance = Json::object();  // versions, host, command line: for the card
};

/// How a pre-training ended; the same on every rank.
struct PretrainSummary {
  std::int64_t models = 0;  // of the study
  std::int64_t done_before = 0;
  std::int64_t done = 0;    // by this run
  std::int64_t failed = 0;  // utterances that could not be decoded
  bool stopped = false;     // a signal asked for it; the next run continues
};

/// Trains the models of a study's section `pretrain` that are not trained yet: decodes the speech, makes units, trains,
/// writes. Each part is named after a fingerprint of what it depends on and is done once. Collective.
///   OUTPUT/pretrain/speech/<fingerprint>/          16-bit PCM (SpeechPlan)
///   OUTPUT/pretrain/units/<model>-<fingerprint>/   centroids, units (Units)
///   OUTPUT/pretrain/training/<model>-<fingerprint>/ checkpoint, journal (Pretrainer)
///   OUTPUT/pretrain/models/<model>/                the model as a Hugging Face folder, CARD.md, pretrain.json
/// A finished model whose section has changed since is trained anew, and replaced when that is done.
/// Throws ConfigError (study, manifests, models), DataError (disk, a live second pre-training, a training that
/// diverged).
PretrainSummary pretrain(const PretrainStudy& study, const Communicator& ranks, const PretrainOptions& options);

}  // namespace strata

#pragma once

#include <cstdint>

#include "distributed/mpi.h"
#include "trainers/extract/workshop.h"
#include "trainers/study/study.h"

namespace strata {

/// What an extraction found, did and could not do; the same on every rank.
struct ExtractSummary {
  std::int64_t shards_written = 0;
  std::int64_t shards_there = 0;  // finished by an earlier run
  std::int64_t utterances = 0;    // written by this run
  double audio_seconds = 0;       // of them
  double seconds = 0;             // this run's work
  std::int64_t failed = 0;        // utterances that could not be decoded by any run
  bool stopped = false;           // a signal asked for it; the rest is left for the next run
};

/// Computes the features of every upstream and corpus of the study that are not stored yet: all taps of the store for
/// new utterances, new taps for those that lack them. Collective. Each utterance is computed alone, on one intra-op
/// thread, and a shard is one unit of work, so the stored bytes do not depend on ranks, threads or interruptions.
/// Throws ConfigError (study, manifests, models, a store made by another upstream), DataError (disk).
ExtractSummary extract(const Study& study, const Communicator& ranks, const ExtractOptions& options);

}  // namespace strata

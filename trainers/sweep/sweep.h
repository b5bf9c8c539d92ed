#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "distributed/mpi.h"
#include "trainers/study/expand.h"
#include "trainers/study/study.h"

namespace strata {

/// What `sweep` is told besides the study.
struct SweepOptions {
  bool dry_run = false;        // say what would be done, do nothing
  bool retry_failed = false;   // trials that failed or diverged in an earlier run are tried again
  int threads = 0;             // intra-op threads of a rank; 0: as the study says
  bool show_progress = true;
  Json provenance = Json::object();  // versions, host, command line: for study.json
};

/// How a sweep ended; the same on every rank.
struct SweepSummary {
  std::int64_t trials = 0;     // of the study
  std::int64_t done_before = 0;
  std::int64_t done = 0;       // by this run
  std::int64_t failed = 0;     // of the study's trials, all runs together
  bool stopped = false;
  std::string plan;            // dry run: what would be done, a line each
};

/// Trains every trial of the study that is not done. Ranks form groups; a group trains one trial at a time, data parallel,
/// and asks for the next when it is through. Trials are handed out longest first. Collective.
/// Throws ConfigError (study, stores, output of another study), DataError (disk, a live second sweep).
SweepSummary sweep(const Study& study, const Communicator& world, const SweepOptions& options);

}  // namespace strata

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/upstreams/upstream.h"
#include "data/store/store.h"
#include "distributed/mpi.h"
#include "trainers/study/study.h"

namespace strata {

/// What `extract` is told besides the study.
struct ExtractOptions {
  ModelSearch search;            // where models are looked for
  int threads = 0;               // units computed side by side in this rank; 0: the rank's share of the node's cores
  std::int64_t shard_bytes = 0;  // about, before compression; 0: CorpusPlan::default_shard_bytes
  bool ignore_free_space = false;
  bool retry_failed = false;  // utterances that could not be decoded are planned again
  bool show_progress = true;
  Json provenance = Json::object();  // versions, for store.json
};

/// What an extraction found, did and could not do; the same on every rank.
struct ExtractSummary {
  std::int64_t shards_written = 0;
  std::int64_t shards_there = 0;       // finished by an earlier run
  std::int64_t utterances = 0;         // written by this run
  double audio_seconds = 0;            // of them
  double seconds = 0;                  // this run's work
  std::int64_t failed = 0;             // utterances that could not be decoded by any run
  bool stopped = false;                // a signal asked for it; the rest is left for the next run
};

/// Computes the features of every upstream and corpus of the study that are not stored yet: all taps of the store for
/// new utterances, new taps for those that lack them. Collective. Each utterance is computed alone, on one intra-op
/// thread, and a shard is one unit of work, so the stored bytes do not depend on ranks, threads or interruptions.
/// Throws ConfigError (study, manifests, models, a store made by another upstream), DataError (disk).
ExtractSummary extract(const Study& study, const Communicator& ranks, const ExtractOptions& options);

/// What a store of this upstream says: fingerprint with storage type and arithmetic, and the taps that
/// this study wants, in the upstream's order.
StoreDescription describe_store(const std::string& name, const UpstreamEntry& entry, const Upstream& upstream, const std::string& study_file);

/// Opens the upstream of a study; errors name the study's file and key.
std::unique_ptr<Upstream> open_study_upstream(const Study& study, const std::string& name, const ModelSearch& search);

}  // namespace strata

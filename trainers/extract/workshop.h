#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "data/audio/effects/effect.h"
#include "data/manifest/manifest.h"
#include "data/store/store.h"
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

/// One upstream over one corpus.
struct Job {
  std::string title;  // "hubert/debian"
  const Upstream* upstream = nullptr;
  const FeatureStore* store = nullptr;
  const Corpus* corpus = nullptr;
  Effects effects;
  CorpusPlan plan;
  std::vector<PlannedUtterance> utterances;  // of the corpus; on rank 0
  std::vector<ShardPlan> missing;            // when rank 0 looked
};

struct Unit {
  std::size_t job = 0;
  std::size_t shard = 0;  // index into Job::missing
};

/// Everything the study needs, opened and checked on this rank.
struct Workshop {
  c10::Device device = c10::kCPU;
  std::map<std::string, std::unique_ptr<Upstream>> upstreams;
  std::map<std::string, StoreDescription> descriptions;  // as the study wants them
  std::map<std::string, FeatureStore> stores;
  std::map<std::string, Corpus> corpora;
  std::vector<Job> jobs;
  std::vector<Unit> units;
};

/// Opens models and corpora. Nothing is written.
void open_all(const Study& study, const ExtractOptions& options, Workshop& shop);

/// Rank 0 plans what is missing, in memory only; the others read what it has saved.
void plan_jobs(const Study& study, const ExtractOptions& options, bool writer, Workshop& shop);

/// Says what the plans come to. Throws DataError if the disk cannot hold it; nothing of them is saved yet, so that
/// other taps or another dtype may be asked for.
void check_room(const Study& study, const ExtractOptions& options, const Workshop& shop);

/// Writes store.json and the plans, on rank 0; before them, nothing else of an extraction is on disk.
void save_plans(const Study& study, Workshop& shop);

/// By job, on rank 0.
Json names_of_missing(const Workshop& shop);

/// Units are known by their number, so that all ranks take the list of rank 0: another may see fewer files, on a
/// network file system, or more.
///   missing  names_of_missing of rank 0
void list_units(const Json& missing, Workshop& shop);

/// At 16 kHz, with the effects of the corpus. Throws DataError that names the file if it cannot be decoded.
std::vector<float> treated_audio(const Job& job, const Utterance& utterance);

/// Where an upstream has these taps.
std::vector<std::size_t> indices_of(const std::vector<Tap>& taps, const Upstream& upstream);

/// Utterances of the study's corpora of which taps are lacking, since no run could decode them.
std::int64_t count_failed(const Workshop& shop);

}  // namespace strata

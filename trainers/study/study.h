#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/fields.h"
#include "core/config/json.h"

namespace strata {

/// A corpus of the study: its manifests and how its audio is treated before any upstream sees it.
struct CorpusEntry {
  std::filesystem::path manifests;    // folder with utterances.jsonl
  Json effects = Json::array();       // [{"type": "band_limit", ..}], in order
};

/// An upstream of the study and how its features are stored.
struct UpstreamEntry {
  std::string model;                  // folder, `user/name` of the Hugging Face cache, or a registered name
  std::string dtype = "float32";      // of the stored features
  std::vector<std::string> taps;      // in any order; empty: the layer list of the model
  std::string compression = "none";   // of shards written from now on: none, deflate, blosc
  Json options = Json::object();      // of the upstream's family
};

/// A task of the study.
struct TaskEntry {
  std::string type;                   // registered task
  std::string corpus;                 // name among the corpora
  Json head;                          // null: the task's default
  Json options = Json::object();      // of the task type, `type` included
};

/// A study as its file says it, checked as far as that goes without opening anything but the file.
struct Study {
  std::string name;
  std::filesystem::path file;
  std::filesystem::path output;       // absolute, or relative to the working folder
  std::filesystem::path store;
  std::filesystem::path root;         // what relative paths in the study start from
  std::map<std::string, CorpusEntry> corpora;
  std::map<std::string, UpstreamEntry> upstreams;
  std::map<std::string, TaskEntry> tasks;
  std::vector<Json> sweep;            // blocks, axes not yet expanded
  std::int64_t ranks_per_trial = 0;   // 0: spread trials before splitting one
  std::int64_t threads = 0;           // intra-op threads of a rank in a sweep; 0: its share of the node's cores
  std::string device = "auto";        // of extraction and trials: auto (GPUs where there are some), cpu, cuda
  bool tensorboard = false;           // event files of every trial under OUTPUT/tensorboard
  std::string keep = "best";          // none, best, all
  bool rewrites = true;               // train on the smallest stored form that gives the same result
  std::string verify = "once";        // checksums of all frames before training: once for each shard, always, never
  bool allow_missing = false;         // utterances that could not be decoded are left out
  Json source;                        // the file with the overrides applied
};

/// Reads a study and applies `key=value` overrides: the key is a path (sweep.0.optimizer.learning_rate), the value JSON, or
/// else text; commas make a list (1e-3,1e-2). Throws ConfigError with file, JSON path, value, what is allowed, nearest name.
Study read_study(const std::filesystem::path& file, const std::vector<std::string>& overrides);

}  // namespace strata

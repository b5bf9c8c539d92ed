#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/batches/feature_loader.h"
#include "data/batches/time_means.h"
#include "data/manifest/manifest.h"
#include "data/store/corpus_features.h"
#include "data/store/store.h"
#include "distributed/mpi.h"
#include "trainers/study/expand.h"
#include "trainers/study/study.h"
#include "trainers/tasks/task.h"

namespace strata {

/// What the trials of a study work with, opened once: corpora, tasks and stores. Not thread-safe.
class Bench {
 public:
  /// Opens what the study's tasks and sweep need. Throws ConfigError (no store, features incomplete, utterances that could
  /// not be decoded unless the study has `allow_missing`) or DataError (a broken file).
  explicit Bench(const Study& study);

  /// Holds the frames that trials will read against their checksums: this rank's share of the shards that are not known to
  /// be whole (data/store/verified.h), or with `again` of all. Throws DataError naming shard and utterance.
  void verify(int rank, int ranks, bool again) const;
  /// For one rank, when all have verified their share: they need not do it again in the next run.
  void remember_verified() const;

  const StudyFacts& facts() const { return facts_; }
  const Task& task(const Trial& trial) const { return *tasks_.at(trial.names.at("task")); }

  /// The loader of a trial: its upstreams' stores over its task's corpus, with the taps that its interface names.
  ///   pinned  see FeatureLoader
  FeatureLoader loader(const Trial& trial, bool pinned = false) const;

  /// Time means of the features that `loader(trial)` gives, shared by all trials that read the same.
  const TimeMeans& time_means(const Trial& trial);

  /// The tensors that the trial's model has fitted before training (Model::fitted), shared by all trials for which they
  /// are the same. Collective over the group, which must stay the same.
  Parameters fitted(const Trial& trial, const Communicator& group);

  /// The utterances of a split ("train", "dev", "test") that all upstreams of the trial have features of.
  std::vector<std::string> ids(const Trial& trial, const std::string& split) const;

  /// Those of a split that have fewer frames than their loss needs (Task::frames_needed): it is infinite and counts 0.
  std::vector<std::string> too_short(const Trial& trial, const std::string& split) const;

 private:
  const CorpusFeatures& features(const std::string& upstream, const std::string& task) const;
  void open_tasks();
  void open_stores();

  const Study& study_;
  std::map<std::string, Corpus> corpora_;
  std::map<std::string, std::unique_ptr<Task>> tasks_;
  std::map<std::string, FeatureStore> stores_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<CorpusFeatures>> features_;  // by upstream, corpus
  std::map<std::string, std::unique_ptr<TimeMeans>> time_means_;  // by task's corpus, upstreams, taps, alignment
  std::map<std::string, Parameters> fitted_;  // by task, upstreams, taps, alignment, interface
  StudyFacts facts_;
};

}  // namespace strata

#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/heads/head.h"
#include "core/interfaces/interface.h"
#include "core/tensor/feature_spec.h"
#include "data/batches/feature_loader.h"
#include "trainers/study/study.h"

namespace strata {

/// One fully resolved configuration.
struct Trial {
  std::string id;  // first 16 hex digits of SHA-256 over `config.dump()`
  Json config;     // everything that determines the result
  Json names;      // what the study calls it: task, upstreams, and the value on each axis, for tables
};

/// What the trials of a study stand on; found out before they are expanded.
struct StudyFacts {
  struct UpstreamFacts {
    std::string fingerprint;
    FeatureSpec spec;            // the taps that the study lists, in the upstream's order
    std::map<std::string, std::string> missing;  // by corpus: hash of the ids that have no features, if any
  };
  struct TaskFacts {
    Json identity;               // task options, hashes of manifest and splits, effects
    std::string corpus;
    Json head;                   // resolved: the study's, or the task's default
    std::int64_t classes = 0;
    HeadOutput output = HeadOutput::kUtteranceLogits;  // the decision that its loss takes
    Json metrics = Json::array();  // [{"name", "higher_is_better", "unit"}], the one that chooses checkpoints first
  };
  std::map<std::string, UpstreamFacts> upstreams;
  std::map<std::string, TaskFacts> tasks;
};

/// A combination that a component refuses by shape: no trial, but said.
struct NotApplicable {
  std::string combination;
  std::string reason;
};

struct Expansion {
  std::vector<Trial> trials;  // in the order of the study, each id once
  std::vector<NotApplicable> not_applicable;
};

/// Expands the sweep blocks: a list where one value is expected is an axis. Throws ConfigError for a wrong key or value
/// (file, JSON path, nearest name) and if no trial is left.
Expansion expand_study(const Study& study, const StudyFacts& facts);

/// The taps that a trial's layers are, by name: those its interface names, or its fusion if that mixes the layers itself;
/// empty: all of each upstream's layer list.
std::vector<std::string> tap_names(const Json& config);

/// What a model's interface is built for, if it reads this source.
InterfaceInput interface_input(const LoaderSource& source);

/// How a trial's taps are brought to one frame rate. `config` has no "alignment" where it is the default.
AlignmentRule alignment_rule(const Json& config);

/// Raised when numbers of a trial with the same configuration change; part of every trial id.
inline constexpr int kTrainingSemantics = 2;  // 2: CTC in float64

}  // namespace strata

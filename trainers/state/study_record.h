#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/config/json.h"
#include "trainers/study/expand.h"
#include "trainers/study/study.h"

namespace strata {

/// What replaying the journal of an output gives.
struct StudyState {
  std::map<std::string, Json> done;         // by trial id: its last trial_done event
  std::map<std::string, std::string> failed;  // by trial id: reason; not those that were done later
  std::map<std::string, double> started;    // by trial id: time; neither done nor failed since
};

/// Throws DataError if the journal is broken.
StudyState replay_state(const std::filesystem::path& output);

/// Throws ConfigError if the study's output belongs to a study of another name.
void check_study_record(const Study& study);

/// Writes OUTPUT/study.json: the study with its overrides, its trials (id, names, configuration), the metrics of its tasks,
/// the layer list of its upstreams, and where it came from. Says so if the study of that name has changed since.
void write_study_record(const Study& study, const StudyFacts& facts, const Expansion& expansion, const Json& provenance);

/// "sid | hubert | none | weighted_sum | adam learning_rate=0.001 | seed 0": for people.
std::string describe_trial(const Trial& trial);

}  // namespace strata

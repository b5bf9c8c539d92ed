#include "trainers/pretrain/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/config/overrides.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "core/pretraining/objective.h"
#include "trainers/study/corpus_entries.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

PretrainSpeech read_speech(FieldReader reader) {
  PretrainSpeech speech;
  reader.require("train");
  speech.fields(reader);
  reader.finish("the speech of a pre-training");
  if (speech.train.empty()) reader.fail("train", "lists nothing to train on");
  if (speech.max_seconds < speech.min_seconds)
    reader.fail("max_seconds", fmt::format("{} is less than min_seconds, {}", speech.max_seconds, speech.min_seconds));
  return speech;
}

UnitRecipe read_units(const Json& value, const std::string& file, const std::string& path, const fs::path& root) {
  FieldReader reader(value, file, path);
  UnitRecipe units;
  units.fields(reader);
  reader.finish("units");
  FieldReader kmeans_reader(units.kmeans, file, path + "/kmeans");
  KMeansOptions kmeans;
  kmeans.fields(kmeans_reader);
  kmeans_reader.finish("k-means");
  units.kmeans = options_to_json(kmeans);
  const auto belongs = [&](const char* key, const std::string& text, bool wanted) {
    if (text.empty() == wanted)
      reader.fail(key, fmt::format("the source \"{}\" {}", units.source, wanted ? "needs it" : "takes none"));
  };
  belongs("model", units.model, units.source == "model");
  belongs("store", units.store, units.source == "store");
  belongs("tap", units.tap, units.source != "mfcc");
  if (!units.store.empty()) units.store = (root / units.store).lexically_normal().string();
  return units;
}

PretrainModel read_model(const Json& value, const std::string& name, const PretrainStudy& study) {
  const std::string file = study.file.string(), path = "/pretrain/models/" + name;
  FieldReader reader(value, file, path);
  PretrainModel model;
  model.name = name;
  reader.require("objective");
  reader.require("steps");
  model.fields(reader);
  reader.finish("a model to be trained");
  model.objective = ObjectiveRegistry::resolve(FieldReader(model.objective, file, path + "/objective"));
  const std::unique_ptr<Objective> objective =
      ObjectiveRegistry::make(FieldReader(model.objective, file, path + "/objective"));
  model.optimizer = OptimizerRegistry::resolve(FieldReader(model.optimizer, file, path + "/optimizer"));
  model.schedule = ScheduleRegistry::resolve(FieldReader(model.schedule, file, path + "/schedule"));
  ScheduleRegistry::make(FieldReader(model.schedule, file, path + "/schedule"), model.steps);
  if (objective->classes() > 0) {
    model.units = read_units(model.reader_units, file, path + "/units", study.root);
  } else if (!model.reader_units.empty()) {
    reader.fail("units", fmt::format("the objective {} predicts none", model.objective.at("type").dump()));
  }
  if (model.batch_seconds < study.speech.max_seconds) {
    reader.fail("batch_seconds", fmt::format("{} is less than max_seconds of the speech, {}", model.batch_seconds,
                                             study.speech.max_seconds));
  }
  return model;
}

/// Each after the one that its units come from, else by name.
std::vector<PretrainModel> in_order(std::vector<PretrainModel> models, const FieldReader& place) {
  std::set<std::string> names, done;
  for (const PretrainModel& model : models) names.insert(model.name);
  std::vector<PretrainModel> ordered;
  while (!models.empty()) {
    const auto next = std::find_if(models.begin(), models.end(), [&](const PretrainModel& model) {
      return !names.contains(model.units.model) || done.contains(model.units.model);
    });
    if (next == models.end())
      place.fail(models.front().name, "its units come, over others, from itself; the first must come from elsewhere");
    done.insert(next->name);
    ordered.push_back(std::move(*next));
    models.erase(next);
  }
  return ordered;
}

}  // namespace

PretrainStudy read_pretrain_study(const fs::path& file, const std::vector<std::string>& overrides) {
  PretrainStudy study;
  study.file = file;
  Json source = read_json(file);
  for (const std::string& argument : overrides) apply_override(source, argument);
  FieldReader reader(source, file.string());
  study.name = require_text(reader, "name");
  std::string root;
  reader.text("root", root, "");
  study.root = (file.parent_path() / root).lexically_normal();
  study.output = (study.root / require_text(reader, "output") / "pretrain").lexically_normal();
  reader.text("device", study.device, "", {"auto", "cpu", "cuda"});
  study.corpora = read_corpora(reader, study.root);
  for (const char* key : {"store", "upstreams", "tasks", "sweep", "search", "keep", "ranks_per_trial", "threads",
                          "tensorboard", "rewrites", "verify", "allow_missing"}) {
    Json other;  // of `strata sweep`
    reader.json(key, other, "");
  }
  FieldReader section = reader.child("pretrain");
  reader.finish("a study");
  study.speech = read_speech(section.child("speech"));
  FieldReader models = section.child("models");
  section.finish("the section pretrain");
  std::vector<PretrainModel> read;
  for (const std::string& name : models.keys()) {
    check_name(models, name);
    read.push_back(read_model(models.require(name), name, study));
  }
  if (read.empty()) section.fail("models", "there is no model to train");
  study.models = in_order(std::move(read), models);
  return study;
}

}  // namespace strata

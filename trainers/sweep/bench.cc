#include "trainers/sweep/bench.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <set>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "data/audio/effects/effect.h"
#include "data/store/verified.h"
#include "trainers/training/fitting.h"
#include "trainers/training/trainer.h"

namespace strata {
namespace {

/// Every name that stands under `upstreams` in a block, whether alone or on an axis.
void collect_names(const Json& value, std::set<std::string>& names) {
  if (value.is_string()) names.insert(value.get<std::string>());
  if (value.is_array()) {
    for (const Json& item : value) collect_names(item, names);
  }
}

Json split_hashes(const Corpus& corpus, const std::string& prefix) {
  Json hashes = {{"utterances", corpus.content_hash()}};
  for (const char* split : {"train", "dev", "test"}) hashes[split] = corpus.hashes().at(fmt::format("{}.{}.txt", prefix, split));
  return hashes;
}

Json metrics_json(const Task& task) {
  Json metrics = Json::array();
  for (const MetricInfo& m : task.metrics()) metrics.push_back({{"name", m.name}, {"higher_is_better", m.higher_is_better}, {"unit", m.unit}});
  return metrics;
}

}  // namespace

Bench::Bench(const Study& study) : study_(study) {
  if (study.tasks.empty()) throw ConfigError(fmt::format("{} /tasks: the study has no task to train", study.file.string()));
  open_tasks();
  open_stores();
}

void Bench::open_tasks() {
  const std::string file = study_.file.string();
  for (const auto& [name, entry] : study_.tasks) {
    const CorpusEntry& corpus_entry = study_.corpora.at(entry.corpus);
    if (!corpora_.contains(entry.corpus)) corpora_.emplace(entry.corpus, Corpus::read(corpus_entry.manifests, /*check_audio=*/false));
    const Corpus& corpus = corpora_.at(entry.corpus);
    const FieldReader options(entry.options, file, "/tasks/" + name);
    Json resolved = TaskRegistry::resolve(options);
    tasks_[name] = TaskRegistry::make(options, corpus);
    if (resolved["splits"].get<std::string>().empty()) resolved["splits"] = entry.type;
    resolved["hashes"] = split_hashes(corpus, resolved["splits"]);
    resolved["effects"] = resolve_effects(corpus_entry.effects, file, "/corpora/" + entry.corpus + "/effects");
    const Json head = entry.head.is_null() ? tasks_[name]->default_head() : entry.head;
    facts_.tasks[name] = {resolved, entry.corpus, HeadRegistry::resolve(FieldReader(head, file, "/tasks/" + name + "/head")), tasks_[name]->classes(), tasks_[name]->output()};
    facts_.tasks[name].metrics = metrics_json(*tasks_[name]);
  }
}

void Bench::open_stores() {
  std::set<std::string> names;
  for (const Json& block : study_.sweep) {
    if (block.is_object()) collect_names(block.value("upstreams", Json()), names);
  }
  for (const std::string& name : names) {
    if (!study_.upstreams.contains(name)) continue;  // the expansion says so, with its place
    const FeatureStore& store = stores_.emplace(name, FeatureStore::open(study_.store / name)).first->second;
    auto& facts = facts_.upstreams[name];
    facts.fingerprint = store.description().fingerprint;
    facts.spec = store.spec_of(study_.upstreams.at(name).taps);
    for (const auto& [corpus_name, corpus] : corpora_) {
      auto features = std::make_unique<CorpusFeatures>(store, corpus_name, facts.spec.taps);
      std::string missing, first;
      std::int64_t count = 0;
      for (const Utterance& utterance : corpus.utterances()) {
        if (features->contains(utterance.id)) continue;
        const std::string* reason = features->failure(utterance.id);
        if (reason == nullptr) {
          throw ConfigError(fmt::format("{}: no features of utterance \"{}\"; run `strata extract` on this study again", store.corpus_folder(corpus_name).string(), utterance.id));
        }
        if (count++ == 0) first = fmt::format("\"{}\": {}", utterance.id, *reason);
        missing += utterance.id + "\n";
      }
      if (count > 0 && !study_.allow_missing) {
        throw ConfigError(
            fmt::format("{}: {} utterances could not be decoded, the first {}; mend them and run `strata extract "
                        "--retry-failed`, or set \"allow_missing\": true to leave them out",
                        store.corpus_folder(corpus_name).string(), count, first));
      }
      if (count > 0) {
        log_warning("{}: {} utterances have no features and are left out", store.corpus_folder(corpus_name).string(), count);
        facts.missing[corpus_name] = sha256(missing);
      }
      features_[{name, corpus_name}] = std::move(features);
    }
  }
}

void Bench::verify(int rank, int ranks, bool again) const {
  int next = 0;
  for (const auto& [key, features] : features_) {
    const VerifiedShards verified(stores_.at(key.first).corpus_folder(key.second));
    for (const auto& shard : features->shards()) {
      // By a number that does not depend on what this rank sees as verified, lest no rank reads a shard.
      if (next++ % ranks != rank) continue;
      if (again || !verified.contains(*shard)) require_whole(*shard);
    }
  }
}

void Bench::remember_verified() const {
  for (const auto& [key, features] : features_) {
    VerifiedShards verified(stores_.at(key.first).corpus_folder(key.second));
    for (const auto& shard : features->shards()) {
      if (!verified.contains(*shard)) verified.add(*shard);
    }
    verified.save();
  }
}

const CorpusFeatures& Bench::features(const std::string& upstream, const std::string& task) const {
  return *features_.at({upstream, study_.tasks.at(task).corpus});
}

FeatureLoader Bench::loader(const Trial& trial, bool pinned) const {
  std::vector<LoaderSource> sources;
  for (const Json& name : trial.names.at("upstreams")) {
    const std::vector<Tap>& taps = facts_.upstreams.at(name).spec.taps;
    sources.push_back({&features(name, trial.names.at("task")), taps, choose_taps(taps, tap_names(trial.config))});
  }
  return FeatureLoader(std::move(sources), alignment_rule(trial.config), pinned);
}

std::vector<std::string> Bench::too_short(const Trial& trial, const std::string& split) const {
  const FeatureLoader frames = loader(trial);
  const Model model = build_model(trial, task(trial), frames);
  std::vector<std::string> found;
  for (const std::string& id : ids(trial, split)) {
    const at::Tensor length = model.output_lengths(at::full({1}, frames.frames(id), at::kLong));
    if (length.item<std::int64_t>() < task(trial).frames_needed(id)) found.push_back(id);
  }
  return found;
}

const TimeMeans& Bench::time_means(const Trial& trial) {
  const Json key = {study_.tasks.at(trial.names.at("task")).corpus, trial.names.at("upstreams"), tap_names(trial.config), trial.config.value("alignment", Json())};
  auto& means = time_means_[key.dump()];
  if (!means) means = std::make_unique<TimeMeans>(loader(trial));
  return *means;
}

Parameters Bench::fitted(const Trial& trial, const Communicator& group) {
  const Json key = {trial.names, tap_names(trial.config), trial.config.value("alignment", Json()), trial.config.at("interface")};
  const auto known = fitted_.find(key.dump());
  if (known != fitted_.end()) return known->second;
  const FeatureLoader frames = loader(trial);
  const Parameters fitted = fit_interfaces(build_model(trial, task(trial), frames), frames, ids(trial, "train"), group);
  return fitted_.emplace(key.dump(), fitted).first->second;
}

std::vector<std::string> Bench::ids(const Trial& trial, const std::string& split) const {
  std::vector<std::string> there;
  for (const std::string& id : task(trial).ids(split)) {
    bool everywhere = true;
    for (const Json& name : trial.names.at("upstreams")) everywhere = everywhere && features(name, trial.names.at("task")).contains(id);
    if (everywhere) there.push_back(id);
  }
  if (there.empty()) throw ConfigError(fmt::format("task {}: no utterance of {} has features", trial.names.at("task").dump(), split));
  return there;
}

}  // namespace strata

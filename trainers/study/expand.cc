#include "trainers/study/expand.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/nearest.h"
#include "core/fusions/fusion.h"
#include "core/heads/head.h"
#include "core/interfaces/interface.h"
#include "core/model/model.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "data/batches/feature_loader.h"

namespace strata {
namespace {

using Choices = std::vector<Json>;

/// A list is an axis, anything else its only value.
Choices plain(const Json& value) { return value.is_array() ? value.get<Choices>() : Choices{value}; }

/// Options of a component whose value is a list by nature.
template <class Kind>
std::set<std::string> list_options(const Json& object) {
  std::set<std::string> lists;
  const Json type = object.value("type", Json());
  if (!type.is_string() || !Kind::contains(type.template get<std::string>())) return lists;
  for (const FieldDescription& field : Kind::entries().at(type.template get<std::string>()).options()) {
    if (field.type == "array") lists.insert(field.key);
  }
  return lists;
}

/// Every object that results from taking one value of each list in it.
template <class Kind>
Choices expand_object(const Json& object) {
  if (!object.is_object()) return {object};
  if (object.value("type", Json()).is_array()) {  // which options are lists by nature depends on the type: it goes first
    Choices all;
    Json one = object;
    for (const Json& type : object.at("type")) {
      one["type"] = type;
      const Choices expanded = expand_object<Kind>(one);
      all.insert(all.end(), expanded.begin(), expanded.end());
    }
    return all;
  }
  const std::set<std::string> lists = list_options<Kind>(object);
  Choices all = {Json::object()};
  for (const auto& [key, value] : object.items()) {
    const bool axis = value.is_array() && (!lists.contains(key) || (!value.empty() && value.front().is_array()));
    const Choices values = axis ? plain(value) : Choices{value};
    Choices next;
    for (const Json& partial : all) {
      for (const Json& v : values) {
        next.push_back(partial);
        next.back()[key] = v;
      }
    }
    all = std::move(next);
  }
  return all;
}

template <class Kind>
Choices expand_component(const Json& value) {
  Choices all;
  for (const Json& object : plain(value)) {
    const Choices expanded = expand_object<Kind>(object);
    all.insert(all.end(), expanded.begin(), expanded.end());
  }
  return all;
}

struct Axis {
  std::string key;
  Choices values;
};

struct BlockKey {
  const char* key;
  Json default_value;  // null: required, or the task's default for `head`
  Choices (*expand)(const Json&);
};

Choices list_of_names(const Json& value) {
  const bool several = value.is_array() && !value.empty() && value.front().is_array();
  return several ? value.get<Choices>() : Choices{value};
}

const std::vector<BlockKey>& block_keys() {
  static const std::vector<BlockKey> keys = {
      {"task", nullptr, plain},
      {"upstreams", nullptr, list_of_names},
      {"fusion", Json{{"type", "none"}}, expand_component<FusionRegistry>},
      {"interface", nullptr, expand_component<InterfaceRegistry>},
      {"head", nullptr, expand_component<HeadRegistry>},
      {"optimizer", Json{{"type", "adam"}}, expand_component<OptimizerRegistry>},
      {"schedule", Json{{"type", "constant"}}, expand_component<ScheduleRegistry>},
      {"steps", 2000, plain},
      {"batch_size", 32, plain},
      {"evaluate_every", 200, plain},
      {"clip", 1.0, plain},
      {"seed", 0, plain},
  };
  return keys;
}

std::vector<Axis> read_axes(const Json& block, const std::string& file, const std::string& path) {
  FieldReader reader(block, file, path);
  std::vector<Axis> axes;
  for (const BlockKey& key : block_keys()) {
    const std::string name = key.key;
    Json value = key.default_value;
    reader.json(key.key, value, "");
    if (value.is_null() && name != "head") reader.fail(name, "this key is missing");
    axes.push_back({name, value.is_null() ? Choices{Json()} : key.expand(value)});
    if (axes.back().values.empty()) reader.fail(name, "an axis needs at least one value");
  }
  reader.finish("a sweep block");
  return axes;
}

Json listed_taps(const FeatureSpec& spec) {
  Json names = Json::array();
  for (const Tap& tap : spec.taps) {
    if (tap.listed) names.push_back(tap.name);
  }
  return names;
}

/// One point of a block: resolves and checks it part by part.
class PointResolver {
 public:
  PointResolver(const Study& study, const StudyFacts& facts, std::string path) : study_(study), facts_(facts), path_(std::move(path)) {}

  Trial resolve(const Json& point) const {
    Trial trial;
    const std::string task = name_among(facts_.tasks, point, "task");
    const auto& task_facts = facts_.tasks.at(task);
    trial.config["semantics"] = kTrainingSemantics;
    trial.config["task"] = task_facts.identity;
    trial.config["interface"] = InterfaceRegistry::resolve(component(point, "interface"));
    const bool names_taps = !trial.config["interface"].value("taps", Json::array()).empty();
    trial.config["upstreams"] = resolve_upstreams(point, task_facts.corpus, !names_taps);
    trial.config["fusion"] = FusionRegistry::resolve(component(point, "fusion"));
    trial.config["head"] = point["head"].is_null() ? task_facts.head : HeadRegistry::resolve(component(point, "head"));
    trial.config["optimizer"] = OptimizerRegistry::resolve(component(point, "optimizer"));
    trial.config["schedule"] = ScheduleRegistry::resolve(component(point, "schedule"));
    resolve_numbers(point, trial.config);
    trial.id = sha256(trial.config.dump()).substr(0, 16);
    trial.names = {{"task", task}, {"upstreams", point["upstreams"]}};
    return trial;
  }

  FieldReader component(const Json& point, const std::string& key) const {
    return FieldReader(point[key], study_.file.string(), path_ + "/" + key);
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw ConfigError(fmt::format("{} {}/{}: {}", study_.file.string(), path_, key, message));
  }

  template <class Map>
  std::string name_among(const Map& map, const Json& point, const std::string& key) const {
    if (!point[key].is_string()) fail(key, fmt::format("{} is not allowed; takes a name", point[key].dump()));
    return known_name(map, point[key], key);
  }

  template <class Map>
  std::string known_name(const Map& map, const std::string& name, const std::string& key) const {
    std::vector<std::string> names;
    for (const auto& [n, unused] : map) names.push_back(n);
    if (!map.contains(name)) {
      const std::string hint = did_you_mean(name, names);
      fail(key, fmt::format("the study has no \"{}\"{} it has {}", name, hint.empty() ? ";" : hint, fmt::join(names, ", ")));
    }
    return name;
  }

  /// `listed`: the interface reads all taps of the layer list, so what a store has of it determines the result.
  Json resolve_upstreams(const Json& point, const std::string& corpus, bool listed) const {
    const Json& names = point["upstreams"];
    if (!names.is_array() || names.empty()) fail("upstreams", fmt::format("{} is not allowed; takes a list of names, or a list of such lists", names.dump()));
    Json resolved = Json::array();
    for (const Json& name : names) {
      if (!name.is_string()) fail("upstreams", fmt::format("{} is not allowed; takes a name", name.dump()));
      const auto& facts = facts_.upstreams.at(known_name(facts_.upstreams, name, "upstreams"));
      resolved.push_back({{"fingerprint", facts.fingerprint}});
      if (listed) resolved.back()["taps"] = listed_taps(facts.spec);
      if (facts.missing.contains(corpus)) resolved.back()["missing"] = facts.missing.at(corpus);
    }
    return resolved;
  }

  void resolve_numbers(const Json& point, Json& config) const {
    Json object;
    for (const char* key : {"steps", "batch_size", "evaluate_every", "clip", "seed"}) object[key] = point[key];
    FieldReader reader(object, study_.file.string(), path_);
    std::int64_t steps = 0, batch_size = 0, evaluate_every = 0, seed = 0;
    double clip = 0;
    reader.number("steps", steps, "", at_least(1));
    reader.number("batch_size", batch_size, "", at_least(1));
    reader.number("evaluate_every", evaluate_every, "", at_least(1));
    reader.number("seed", seed, "", at_least(0));
    reader.number("clip", clip, "", at_least(0));
    config.update({{"steps", steps}, {"batch_size", batch_size}, {"evaluate_every", evaluate_every}, {"seed", seed}, {"clip", clip}});
  }

  const Study& study_;
  const StudyFacts& facts_;
  std::string path_;
};

/// Builds loader and model for their refusals; throws ConfigError with the reason.
void check_shapes(const Trial& trial, const StudyFacts& facts, const PointResolver& resolver, const Json& point) {
  std::vector<LoaderSource> sources;
  std::vector<InterfaceInput> inputs;
  for (const Json& name : trial.names["upstreams"]) {
    const std::vector<Tap>& taps = facts.upstreams.at(name).spec.taps;
    const auto chosen = choose_taps(taps, trial.config["interface"].value("taps", std::vector<std::string>()));
    inputs.push_back({static_cast<std::int64_t>(chosen.size()), taps[chosen.front()].width});
    sources.push_back({nullptr, taps, chosen});  // nothing is read: the loader is asked whether widths and rates fit
  }
  FeatureLoader(std::move(sources));
  const auto& task = facts.tasks.at(trial.names["task"]);
  const ModelParts parts{resolver.component(point, "interface"), resolver.component(point, "fusion"), FieldReader(trial.config["head"], "head")};
  if (Model(parts, inputs, task.classes).output() != task.output) {
    throw ConfigError(fmt::format("not applicable: head {} decides once per {}, the task does not", trial.config["head"]["type"].get<std::string>(),
                                  task.output == HeadOutput::kUtteranceLogits ? "frame" : "utterance"));
  }
}

void expand_block(const Study& study, const StudyFacts& facts, std::size_t index, Expansion& out, std::set<std::string>& seen) {
  const std::string path = fmt::format("/sweep/{}", index);
  const std::vector<Axis> axes = read_axes(study.sweep[index], study.file.string(), path);
  const PointResolver resolver(study, facts, path);
  std::size_t points = 1;
  for (const Axis& axis : axes) points *= axis.values.size();
  for (std::size_t p = 0; p < points; ++p) {
    Json point;
    std::size_t rest = p;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {  // the last axis (seed) turns fastest
      point[axis->key] = axis->values[rest % axis->values.size()];
      rest /= axis->values.size();
    }
    Trial trial = resolver.resolve(point);
    try {
      check_shapes(trial, facts, resolver, point);
    } catch (const ConfigError& e) {
      out.not_applicable.push_back({fmt::format("{} {} {} {}", point["task"].dump(), point["upstreams"].dump(), point["fusion"].dump(), point["interface"].dump()), e.what()});
      continue;
    }
    if (seen.insert(trial.id).second) out.trials.push_back(std::move(trial));
  }
}

}  // namespace

Expansion expand_study(const Study& study, const StudyFacts& facts) {
  Expansion out;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < study.sweep.size(); ++i) expand_block(study, facts, i, out, seen);
  if (out.trials.empty()) {
    throw ConfigError(fmt::format("{} /sweep: the study has no trial{}", study.file.string(),
                                  out.not_applicable.empty() ? "" : "; every combination is not applicable, the first because: " + out.not_applicable[0].reason));
  }
  return out;
}

}  // namespace strata

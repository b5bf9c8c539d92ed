#include "trainers/study/expand.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
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
  Json default_value;  // null: required; of `head`, the task's; `interface` may lack where no fusion wants one
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
      {"alignment", Json::object(), expand_component<FusionRegistry>},
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
    if (value.is_null() && name != "head" && name != "interface") reader.fail(name, "this key is missing");
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

/// How a study wants frame rates to meet.
struct AlignmentRequest {
  std::string rate = "finest";  // or an upstream's name
  bool interpolate = false;
};

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
    trial.config["fusion"] = FusionRegistry::resolve(component(point, "fusion"));
    trial.config["interface"] = resolve_interface(point, trial.config["fusion"]["type"]);
    trial.config["upstreams"] = resolve_upstreams(point, task_facts.corpus, tap_names(trial.config).empty());
    trial.config["head"] = point["head"].is_null() ? task_facts.head : HeadRegistry::resolve(component(point, "head"));
    trial.config["optimizer"] = OptimizerRegistry::resolve(component(point, "optimizer"));
    trial.config["schedule"] = ScheduleRegistry::resolve(component(point, "schedule"));
    resolve_numbers(point, trial.config);
    trial.names = {{"task", task}, {"upstreams", point["upstreams"]}};
    return trial;
  }

  /// `alignment` of a point: {"rate": "finest" or an upstream's name, "slower": "repeat" or "linear"}, checked.
  AlignmentRequest resolve_alignment(const Json& point) const {
    FieldReader reader = component(point, "alignment");
    AlignmentRequest request;
    std::string slower = "repeat";
    reader.text("rate", request.rate, "");
    reader.text("slower", slower, "", {"linear", "repeat"});
    reader.finish("alignment");
    if (request.rate != "finest") known_name(facts_.upstreams, request.rate, "alignment/rate");
    request.interpolate = slower == "linear";
    return request;
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

  /// A fusion that mixes the layers itself has no interface: all points of an interface axis are one trial.
  Json resolve_interface(const Json& point, const std::string& fusion) const {
    const bool wanted = !fusions_without_interfaces().contains(fusion);
    if (point["interface"].is_null() && wanted) fail("interface", "this key is missing");
    const Json resolved = point["interface"].is_null() ? Json() : InterfaceRegistry::resolve(component(point, "interface"));
    return wanted ? resolved : Json{{"type", "none"}};
  }

  /// `listed`: the interface reads all taps of the layer list, so what a store has of it determines the result.
  Json resolve_upstreams(const Json& point, const std::string& corpus, bool listed) const {
    const Json& names = point["upstreams"];
    if (!names.is_array() || names.empty()) fail("upstreams", fmt::format("{} is not allowed; takes a list of names, or a list of such lists", names.dump()));
    Json resolved = Json::array();
    for (const Json& name : names) {
      if (!name.is_string()) fail("upstreams", fmt::format("{} is not allowed; takes a name", name.dump()));
      if (std::count(names.begin(), names.end(), name) > 1) fail("upstreams", fmt::format("{} is named twice", name.dump()));
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

/// The rule that is asked for. Throws ConfigError ("not applicable: ..") if the trial has no such upstream.
AlignmentRule rule_of(const AlignmentRequest& request, const Trial& trial, const StudyFacts& facts) {
  if (request.rate == "finest") return {0, request.interpolate};
  const Json& names = trial.names["upstreams"];
  if (std::find(names.begin(), names.end(), request.rate) == names.end()) {
    throw ConfigError(fmt::format("not applicable: alignment to the frame rate of \"{}\", which is not among the upstreams", request.rate));
  }
  const std::vector<Tap>& taps = facts.upstreams.at(request.rate).spec.taps;
  std::int64_t finest = std::numeric_limits<std::int64_t>::max();
  for (const std::size_t tap : choose_taps(taps, tap_names(trial.config))) finest = std::min(finest, taps[tap].hop_samples);
  return {finest, request.interpolate};
}

/// Builds loader and model for their refusals, and settles what depends on the taps. Throws ConfigError with the reason.
void settle(Trial& trial, const AlignmentRequest& alignment, const StudyFacts& facts, const PointResolver& resolver,
            const Json& point) {
  std::vector<LoaderSource> sources;
  std::vector<InterfaceInput> inputs;
  for (const Json& name : trial.names["upstreams"]) {
    const std::vector<Tap>& taps = facts.upstreams.at(name).spec.taps;
    sources.push_back({nullptr, taps, choose_taps(taps, tap_names(trial.config))});
    inputs.push_back(interface_input(sources.back()));
  }
  // Nothing is read: the loader is asked whether widths and rates fit.
  const FeatureLoader loader(std::move(sources), rule_of(alignment, trial, facts));
  if (const AlignmentRule rule = loader.alignment().rule(); rule != AlignmentRule()) {
    trial.config["alignment"] = {{"hop_samples", rule.hop_samples}, {"slower", rule.interpolate ? "linear" : "repeat"}};
  }
  const auto& task = facts.tasks.at(trial.names["task"]);
  const FieldReader interface = point["interface"].is_null() ? FieldReader(Json::object(), "") : resolver.component(point, "interface");
  const ModelParts parts{interface, resolver.component(point, "fusion"), FieldReader(trial.config["head"], "head")};
  if (Model(parts, inputs, task.classes).output() != task.output) {
    throw ConfigError(fmt::format("not applicable: head {} decides once per {}, the task does not", trial.config["head"]["type"].get<std::string>(),
                                  task.output == HeadOutput::kUtteranceLogits ? "frame" : "utterance"));
  }
  trial.id = sha256(trial.config.dump()).substr(0, 16);
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
    const AlignmentRequest alignment = resolver.resolve_alignment(point);
    try {
      settle(trial, alignment, facts, resolver, point);
    } catch (const ConfigError& e) {
      const std::string combination = fmt::format("{} {} {} {}", point["task"].dump(), point["upstreams"].dump(), point["fusion"].dump(), point["interface"].dump());
      const auto same = [&](const NotApplicable& n) { return n.combination == combination && n.reason == e.what(); };
      if (std::none_of(out.not_applicable.begin(), out.not_applicable.end(), same)) out.not_applicable.push_back({combination, e.what()});
      continue;
    }
    if (seen.insert(trial.id).second) out.trials.push_back(std::move(trial));
  }
}

}  // namespace

std::vector<std::string> tap_names(const Json& config) {
  const Json& reader = config.at(config.at("fusion").contains("taps") ? "fusion" : "interface");
  return reader.value("taps", std::vector<std::string>());
}

InterfaceInput interface_input(const LoaderSource& source) {
  return {static_cast<std::int64_t>(source.chosen.size()), source.taps[source.chosen.front()].width};
}

AlignmentRule alignment_rule(const Json& config) {
  if (!config.contains("alignment")) return {};
  const Json& rule = config.at("alignment");
  return {rule.at("hop_samples").get<std::int64_t>(), rule.at("slower") == "linear"};
}

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

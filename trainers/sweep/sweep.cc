#include "trainers/sweep/sweep.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"
#include "distributed/device.h"
#include "distributed/work_server.h"
#include "trainers/state/journal.h"
#include "trainers/state/owner.h"
#include "trainers/state/study_record.h"
#include "trainers/sweep/bench.h"
#include "trainers/report/results.h"
#include "trainers/report/tensorboard.h"
#include "trainers/training/trainer.h"

namespace strata {
namespace {

/// A number that grows with the time a trial takes: values that pass through its interface.
double cost(const Trial& trial, const Bench& bench) {
  double width = 0;
  const FeatureLoader loader = bench.loader(trial);
  for (const LoaderSource& source : loader.sources()) width += static_cast<double>(source.chosen.size()) * static_cast<double>(source.taps[source.chosen.front()].width);
  return width * trial.config.at("steps").get<double>() * trial.config.at("batch_size").get<double>();
}

/// How many ranks train one trial: as the study says, else one while there are trials enough for all, else what comes to each.
int group_size(const Study& study, int ranks, std::size_t pending) {
  if (study.ranks_per_trial > ranks) {
    throw ConfigError(fmt::format("{} /ranks_per_trial: {} ranks are asked for, there are {}", study.file.string(), study.ranks_per_trial, ranks));
  }
  if (study.ranks_per_trial > 0) return static_cast<int>(study.ranks_per_trial);
  return std::max(1, ranks / static_cast<int>(std::max<std::size_t>(1, pending)));
}

/// What rank 0 finds out and decides before trials are handed out.
struct Decision {
  std::vector<std::size_t> pending;  // indices of trials, longest first
  std::int64_t done = 0;
  std::int64_t failed = 0;           // and not to be tried again
};

Decision decide(const Expansion& expansion, const Bench& bench, const StudyState& state, bool retry_failed) {
  Decision decision;
  for (std::size_t t = 0; t < expansion.trials.size(); ++t) {
    const std::string& id = expansion.trials[t].id;
    if (state.done.contains(id)) {
      decision.done += 1;
    } else if (state.failed.contains(id) && !retry_failed) {
      decision.failed += 1;
    } else {
      decision.pending.push_back(t);
    }
  }
  std::vector<double> costs;
  for (const Trial& trial : expansion.trials) costs.push_back(cost(trial, bench));
  std::stable_sort(decision.pending.begin(), decision.pending.end(), [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });
  return decision;
}

/// Says, once for all trials that see the same, which utterances are too short for their loss.
void warn_of_short_utterances(const Expansion& expansion, const Decision& decision, const Bench& bench) {
  std::set<std::string> said;
  for (const std::size_t t : decision.pending) {
    const Trial& trial = expansion.trials[t];
    const Json key = {trial.names, tap_names(trial.config), trial.config.value("alignment", Json()), trial.config.at("head")};
    if (!said.insert(key.dump()).second) continue;
    const std::vector<std::string> ids = bench.too_short(trial, "train");
    if (ids.empty()) continue;
    log_warning("task {}: {} of {} training utterances have fewer frames than their targets need, the first \"{}\": their loss counts as 0",
                trial.names.at("task").dump(), ids.size(), bench.ids(trial, "train").size(), ids.front());
  }
}

/// "1234 parameters (interface 13, fusion 0, head 1221)".
std::string parameters_text(const Model& model) {
  const auto counts = model.parameter_counts();
  return fmt::format("{} parameters (interface {}, fusion {}, head {})", count_elements(model.parameters()), counts.at("interface"), counts.at("fusion"), counts.at("head"));
}

/// Says how many numbers are trained, once for all trials of the same model.
void log_parameter_counts(const Expansion& expansion, const Decision& decision, const Bench& bench) {
  std::map<std::string, std::vector<const Trial*>> models;
  for (const std::size_t t : decision.pending) {
    const Trial& trial = expansion.trials[t];
    Json key = {trial.names};
    for (const char* part : {"interface", "fusion", "head"}) key.push_back(trial.config.at(part));
    models[key.dump()].push_back(&trial);
  }
  for (const auto& [unused, trials] : models) {
    const Trial& first = *trials.front();
    log_info("{}{}: {}", describe_trial(first), trials.size() == 1 ? "" : fmt::format(" and {} more trials", trials.size() - 1),
             parameters_text(build_model(first, bench.task(first), bench.loader(first))));
  }
}

std::string plan_text(const Expansion& expansion, const Decision& decision, const Bench& bench, int ranks, int group, bool rewrites) {
  std::string text = fmt::format("{} trials: {} done, {} failed earlier, {} to train, on {} ranks in groups of {}\n", expansion.trials.size(),
                                 decision.done, decision.failed, decision.pending.size(), ranks, group);
  const std::set<std::size_t> pending(decision.pending.begin(), decision.pending.end());
  for (std::size_t t = 0; t < expansion.trials.size(); ++t) {
    const Trial& trial = expansion.trials[t];
    const FeatureLoader loader = bench.loader(trial);
    const Model model = build_model(trial, bench.task(trial), loader);
    text += fmt::format("{} {} {}: {}, {}\n", trial.id, pending.contains(t) ? "to train" : "finished", describe_trial(trial),
                        parameters_text(model), rewrites && model.uses_time_means_only() ? "on time means" : "on all frames");
  }
  for (const NotApplicable& combination : expansion.not_applicable) {
    text += fmt::format("not applicable: {}: {}\n", combination.combination, combination.reason);
  }
  return text;
}

/// The record of a finished trial, for the journal; its files are written before.
Json finish_trial(const Trial& trial, const Trainer& trainer, const TrialData& data, const Study& study, bool writer) {
  std::vector<Json> predictions;
  const Json test = trainer.evaluate("test", trainer.best_parameters(), &predictions);
  if (!writer) return Json();
  const auto parameters = count_elements(trainer.model().parameters());
  const auto by_part = trainer.model().parameter_counts();
  const Json record = {{"event", "trial_done"}, {"trial", trial.id}, {"best", trainer.best()}, {"test", test}, {"parameters", parameters}, {"seconds", trainer.seconds()}};
  const fs::path folder = study.output / "trials" / trial.id;
  Json description = {{"id", trial.id}, {"config", trial.config}, {"names", trial.names}, {"parameters", parameters}, {"parameters_by_part", by_part}, {"labels", data.task->labels()}, {"upstreams", Json::object()},
                      {"alignment", data.loader->alignment().text()}, {"root", fs::absolute(study.root / ".").lexically_normal().string()}};
  for (std::size_t u = 0; u < trial.names.at("upstreams").size(); ++u) {
    const std::string name = trial.names.at("upstreams")[u];
    description["upstreams"][name] = study.source.at("upstreams").at(name);
    const LoaderSource& source = data.loader->sources()[u];
    for (const std::size_t tap : source.chosen) description["layers"][name].push_back(source.taps[tap].name);
  }
  if (const Json decisions = trainer.model().fusion().decisions(); !decisions.is_null()) description["fusion"] = decisions;
  write_file_atomically(folder / "trial.json", description.dump(1) + "\n");
  const auto write_lines = [&](const char* name, const std::vector<Json>& lines) {
    std::string text;
    for (const Json& line : lines) text += line.dump() + "\n";
    write_file_atomically(folder / name, text);
  };
  write_lines("metrics.jsonl", trainer.history());
  write_lines("predictions.jsonl", predictions);
  const auto write_weights = [&](const char* name, const at::Tensor& flat) {
    NamedTensors tensors;
    const Parameters views = trainer.parameters(flat);
    for (const auto& [key, tensor] : views.items()) tensors[key] = tensor;
    write_safetensors(folder / name, tensors, {{"trial", trial.id}});
  };
  if (study.keep != "none") write_weights("best.safetensors", trainer.best_parameters());
  if (study.keep == "all") write_weights("last.safetensors", trainer.last_parameters());
  return record;
}

/// Rank 0's side: hands out trials and keeps the journal.
class Dispatcher {
 public:
  Dispatcher(const Expansion& expansion, const Decision& decision, Journal& journal, const Owner& owner,
             bool show_progress)
      : expansion_(expansion),
        decision_(decision),
        journal_(journal),
        owner_(owner),
        progress_("sweep", static_cast<std::int64_t>(decision.pending.size()), "trials", show_progress) {
    progress_.update(0);
  }

  Json answer(const Json& question) {
    try {
      owner_.require();
    } catch (const Error& e) {
      return {{"lost", e.what()}};  // the journal is another's
    }
    if (question.contains("event")) {
      journal_.append(question.at("event"));
      if (question["event"]["event"] == "trial_done") done_ += 1;
      if (question["event"]["event"] == "trial_failed") failed_ += 1;
      progress_.update(done_ + failed_);
    }
    if (question.value("stop", false)) stopping_ = true;
    if (stopping_ || next_ == decision_.pending.size()) return {{"trial", -1}};
    const std::size_t trial = decision_.pending[next_++];
    journal_.append({{"event", "trial_started"}, {"trial", expansion_.trials[trial].id}});
    return {{"trial", trial}};
  }

  std::int64_t done() const { return done_; }
  std::int64_t failed() const { return failed_; }
  bool stopping() const { return stopping_; }

 private:
  const Expansion& expansion_;
  const Decision& decision_;
  Journal& journal_;
  const Owner& owner_;
  std::size_t next_ = 0;
  std::int64_t done_ = 0, failed_ = 0;
  bool stopping_ = false;
  Progress progress_;
};

/// Event files for TensorBoard: what a continued trial already knows, then what comes.
void begin_log(std::optional<TensorboardWriter>& log, const Trial& trial, const Trainer& trainer, const fs::path& output) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  log.emplace(output / "tensorboard" / trial.id, describe_trial(trial), now - trainer.seconds());
  for (const Json& evaluation : trainer.history()) log->add(evaluation);
}

/// One trial on a group. Returns what the leader tells rank 0.
Json train_one(const Trial& trial, const Study& study, Bench& bench, const Communicator& group, c10::Device device) {
  const FeatureLoader loader = bench.loader(trial, /*pinned=*/device.is_cuda());
  TrialData data{&bench.task(trial), &loader, &loader, {}, {}};
  data.fit = [&] { return bench.fitted(trial, group); };
  if (study.rewrites && build_model(trial, *data.task, loader).uses_time_means_only()) data.source = &bench.time_means(trial);
  for (const char* split : {"train", "dev", "test"}) data.ids[split] = bench.ids(trial, split);
  const fs::path bank = study.output / "banks" / trial.id;
  try {
    std::optional<TensorboardWriter> log;
    Trainer trainer(trial, data, group, {bank, 32, device, [&log](const Json& evaluation) { if (log) log->add(evaluation); }});
    if (study.tensorboard && group.rank() == 0) begin_log(log, trial, trainer, study.output);
    switch (trainer.run()) {
      case TrialEnd::kStopped:
        return {{"stop", true}};
      case TrialEnd::kDiverged:
        if (group.rank() == 0) fs::remove_all(bank);
        return {{"event", {{"event", "trial_failed"}, {"trial", trial.id}, {"reason", fmt::format("diverged: no finite gradient in {} steps", trial.config.at("evaluate_every").dump())}}}};
      case TrialEnd::kDone:
        break;
    }
    const Json event = finish_trial(trial, trainer, data, study, group.rank() == 0);
    if (group.rank() == 0) fs::remove_all(bank);
    return {{"event", event}};
  } catch (const SharedError& e) {
    // Every rank of the group has it, so none waits for another: they go on with the next trial.
    if (group.rank() == 0) log_warning("trial {} failed: {}", trial.id, e.what());
    return {{"event", {{"event", "trial_failed"}, {"trial", trial.id}, {"reason", e.what()}}}};
  } catch (const FileError&) {
    throw;  // on a full disk every trial would fail, and none of them deserves it
  } catch (const Error& e) {
    // In a group the others wait in a collective that this rank will not join: the job cannot go on.
    if (group.size() > 1) throw;
    log_warning("trial {} failed: {}", trial.id, e.what());
    return {{"event", {{"event", "trial_failed"}, {"trial", trial.id}, {"reason", e.what()}}}};
  }
}

void work(const Expansion& expansion, const Study& study, Bench& bench, const Communicator& group, c10::Device device, WorkServer& server) {
  Json report = Json::object();
  for (;;) {
    std::int64_t index = -1;
    if (group.rank() == 0) {
      if (stop_requested() != 0) report["stop"] = true;
      const Json answer = server.ask(report);
      if (answer.contains("lost")) throw DataError(answer["lost"].get<std::string>());
      index = answer["trial"];
    }
    index = std::stoll(group.broadcast(std::to_string(index), 0));
    if (index < 0) return;
    report = train_one(expansion.trials[static_cast<std::size_t>(index)], study, bench, group, device);
  }
}

}  // namespace

SweepSummary sweep(const Study& study, const Communicator& world, const SweepOptions& options) {
  const bool first = world.rank() == 0;
  std::unique_ptr<Bench> bench;
  Expansion expansion;
  Decision decision;
  std::unique_ptr<Owner> owner;
  std::unique_ptr<Journal> journal;
  int group_ranks = 1;
  together(world, [&] {
    bench = std::make_unique<Bench>(study);
    expansion = expand_study(study, bench->facts());
  });
  together(world, [&] {
    if (!first) return;
    check_study_record(study);
    if (!options.dry_run) owner = std::make_unique<Owner>(study.output, "strata sweep");
    decision = decide(expansion, *bench, replay_state(study.output), options.retry_failed);
    if (options.dry_run) return;
    write_study_record(study, bench->facts(), expansion, options.provenance);
    journal = std::make_unique<Journal>(study.output / "journal.jsonl");
  });
  if (!options.dry_run && study.verify != "never") {
    together(world, [&] { bench->verify(world.rank(), world.size(), study.verify == "always"); });
    if (first) bench->remember_verified();
  }
  const auto pending = static_cast<std::size_t>(std::stoull(world.broadcast(std::to_string(decision.pending.size()), 0)));
  c10::Device device = c10::kCPU;
  together(world, [&] {
    group_ranks = group_size(study, world.size(), pending);
    if (!options.dry_run) device = choose_device(study.device, world);
  });

  SweepSummary summary;
  summary.trials = static_cast<std::int64_t>(expansion.trials.size());
  summary.done_before = decision.done;
  if (options.dry_run) {
    if (first) summary.plan = plan_text(expansion, decision, *bench, world.size(), group_ranks, study.rewrites);
    return summary;
  }
  for (const NotApplicable& combination : expansion.not_applicable) log_info("not applicable: {}: {}", combination.combination, combination.reason);
  log_info("sweep: {} trials, {} of them done, {} to train on {} ranks in groups of {}, on {}", summary.trials, decision.done, decision.pending.size(), world.size(), group_ranks,
           device.is_cpu() ? "CPUs" : "GPUs");

  if (first) log_parameter_counts(expansion, decision, *bench);
  if (first) warn_of_short_utterances(expansion, decision, *bench);

  const int threads = options.threads > 0 ? options.threads : static_cast<int>(study.threads);
  at::set_num_threads(threads > 0 ? threads : share_of_cores(world.local_size()));
  const int groups = world.size() / group_ranks;
  const int color = world.rank() / group_ranks;
  const Communicator group = world.split(color);
  bool stopped = false;
  if (first) {
    Dispatcher dispatcher(expansion, decision, *journal, *owner, options.show_progress && !decision.pending.empty());
    {
      WorkServer server(world, [&](const Json& question, int) { return dispatcher.answer(question); });
      work(expansion, study, *bench, group, device, server);
    }
    summary.done = dispatcher.done();
    summary.failed = decision.failed + dispatcher.failed();
    stopped = dispatcher.stopping();
    write_file_atomically(study.output / "results.csv", results_csv(load_results(study.output)));
  } else {
    WorkServer server(world, {});
    if (color < groups) work(expansion, study, *bench, group, device, server);
  }
  const Json shared = Json::parse(world.broadcast(Json{{"failed", summary.failed}, {"stopped", stopped}}.dump(), 0));
  summary.failed = shared["failed"];
  summary.stopped = shared["stopped"];
  return summary;
}

}  // namespace strata

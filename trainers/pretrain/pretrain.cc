#include "trainers/pretrain/pretrain.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <span>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/pretraining/objective.h"
#include "core/tensor/feature_spec.h"
#include "data/audio/effects/effect.h"
#include "data/manifest/manifest.h"
#include "data/speech/speech.h"
#include "distributed/device.h"
#include "trainers/pretrain/card.h"
#include "trainers/pretrain/pretrainer.h"
#include "trainers/pretrain/selection.h"
#include "trainers/pretrain/units.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

constexpr int kPretrainSemantics = 2;  // raised when a training with the same section gives other weights

std::string short_of(const std::string& fingerprint) { return fingerprint.substr(0, 16); }

bool any_stops(const Communicator& ranks) {
  std::vector<std::int64_t> stop = {stop_requested() != 0 ? 1 : 0};
  ranks.all_reduce_max(std::span(stop));
  return stop[0] != 0;
}

/// All of a model's section that determines the result.
Json identity_of(const PretrainModel& model) {
  return {{"objective", model.objective},
          {"optimizer", model.optimizer},
          {"schedule", model.schedule},
          {"steps", model.steps},
          {"batch_seconds", model.batch_seconds},
          {"clip", model.clip},
          {"seed", model.seed},
          {"keep", model.keep},
          {"evaluate_every", model.keep == "best" ? model.evaluate_every : 0}};
}

/// The section for people, with the defaults filled in.
Json resolved(const PretrainModel& model, bool with_units) {
  PretrainModel copy = model;
  copy.reader_units = with_units ? options_to_json(copy.units) : Json::object();
  return options_to_json(copy);
}

class Pretraining {
 public:
  Pretraining(const PretrainStudy& study, const Communicator& ranks, const PretrainOptions& options)
      : study_(study), ranks_(ranks), options_(options), first_(ranks.rank() == 0) {}

  PretrainSummary run() {
    at::set_num_threads(options_.threads);
    summary_.models = static_cast<std::int64_t>(study_.models.size());
    std::set<std::string> wanted;
    together(ranks_, [&] {
      device_ = choose_device(study_.device, ranks_);
      wanted = wanted_models();
      open_corpora();
    });
    together(ranks_, [&] {
      if (first_) owner_ = std::make_unique<Owner>(study_.output, "strata pretrain");
    });
    if (!decode()) return stopped();
    for (const PretrainModel& model : study_.models) {
      if (wanted.contains(model.name) && !train(model)) return stopped();
    }
    return summary_;
  }

 private:
  PretrainSummary stopped() {
    summary_.stopped = true;
    return summary_;
  }

  /// Those asked for and, over others, those that their units come from.
  std::set<std::string> wanted_models() const {
    std::vector<std::string> known;
    for (const PretrainModel& model : study_.models) known.push_back(model.name);
    std::set<std::string> wanted(options_.only.begin(), options_.only.end());
    for (const std::string& name : wanted) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        throw ConfigError(fmt::format("{} /pretrain/models: there is no model \"{}\"{}", study_.file.string(), name,
                                      did_you_mean(name, known)));
    }
    if (wanted.empty()) wanted.insert(known.begin(), known.end());
    // A model comes after its source, so that one pass from the end finds all.
    for (auto model = study_.models.rbegin(); model != study_.models.rend(); ++model) {
      if (wanted.contains(model->name)) wanted.insert(model->units.model);
    }
    return wanted;
  }

  void open_corpora() {
    for (const auto& [name, entry] : study_.corpora) {
      corpora_.emplace(name, Corpus::read(entry.manifests));
      effects_.emplace(name, make_effects(entry.effects, study_.file.string(), "/corpora/" + name + "/effects"));
    }
    selection_ = select_speech(study_, corpora_);
    std::vector<SpeechRequest> requests;
    for (const auto& [name, utterances] : selection_.read) {
      const Json treatment =
          resolve_effects(study_.corpora.at(name).effects, study_.file.string(), "/corpora/" + name + "/effects");
      requests.push_back({name, &corpora_.at(name), &effects_.at(name), treatment, utterances});
    }
    plan_ = std::make_unique<SpeechPlan>(study_.output / "speech", requests, study_.speech.shard_seconds);
  }

  /// False: a signal came first.
  bool decode() {
    std::vector<std::size_t> missing;
    const Json list = Json::parse(ranks_.broadcast(first_ ? Json(plan_->missing()).dump() : "", 0));
    missing = list.get<std::vector<std::size_t>>();
    std::int64_t utterances = 0;
    for (const std::size_t shard : missing) utterances += static_cast<std::int64_t>(plan_->size(shard));
    {
      Progress progress("speech", utterances, "utterances", first_ && options_.show_progress && utterances > 0);
      std::atomic<std::int64_t> seen = 0;  // of this rank
      const int threads = options_.decoders > 0 ? options_.decoders : share_of_cores(ranks_.local_size());
      together(ranks_, [&] {
        plan_->write(
            missing, ranks_.rank(), ranks_.size(), threads, [] { return stop_requested() != 0; },
            [&](std::int64_t n) { progress.update(std::min(utterances, (seen += n) * ranks_.size())); });
      });
    }
    if (any_stops(ranks_)) return false;
    together(ranks_, [&] { speech_ = std::make_unique<Speech>(*plan_); });
    summary_.failed = static_cast<std::int64_t>(speech_->failed().size());
    if (first_) {
      log_info("speech: {:.2f} hours in {} utterances, {} could not be decoded, {} are held out",
               speech_->seconds() / 3600, speech_->size(), summary_.failed, selection_.held_out);
    }
    return true;
  }

  /// The utterances that are long enough.
  PretrainData data_for(const PretrainModel& model, const Objective& objective) {
    PretrainData data;
    data.speech = speech_.get();
    data.max_samples = std::llround(study_.speech.max_seconds * kSampleRateHz);
    too_short_ = 0;
    for (std::size_t u = 0; u < speech_->size(); ++u) {
      const std::int64_t samples = speech_->samples(u);
      if (static_cast<double>(samples) < study_.speech.min_seconds * kSampleRateHz || objective.frames(samples) < 1) {
        too_short_ += 1;
        continue;
      }
      (selection_.dev.contains(speech_->key(u)) ? data.dev : data.train).push_back(u);
    }
    if (data.train.empty()) {
      throw ConfigError(
          fmt::format("{} /pretrain/speech/train: no utterance of at least {} s is left to train {} on; {} are "
                      "shorter, {} could not be decoded",
                      study_.file.string(), study_.speech.min_seconds, model.name, too_short_, summary_.failed));
    }
    return data;
  }

  UnitSource source_for(const PretrainModel& model) const {
    const std::string place = fmt::format("{} /pretrain/models/{}/units/tap", study_.file.string(), model.name);
    if (model.units.source == "mfcc") return mfcc_source();
    if (model.units.source == "store") return store_source(model.units.store, model.units.tap, *speech_, place);
    const bool ours = fingerprints_.contains(model.units.model);
    ModelSearch search = options_.search;
    search.root = study_.root;
    search.device = device_;
    const std::string folder = ours ? fs::absolute(model_folder(model.units.model)).string() : model.units.model;
    return model_source(open_upstream(folder, search, FieldReader(Json::object(), study_.file.string())),
                        model.units.tap, model.units.model + "/" + model.units.tap, place);
  }

  /// The identity of the units without opening what they come from, where that is a model of ours.
  std::string units_fingerprint(const PretrainModel& model, const Objective& objective) const {
    const auto ours = fingerprints_.find(model.units.model);
    const std::string source = ours != fingerprints_.end() ? ours->second : source_for(model).fingerprint;
    return sha256(Json{{"version", kPretrainSemantics},
                       {"speech", plan_->fingerprint()},
                       {"train", train_identity()},
                       {"source", source},
                       {"tap", model.units.tap},
                       {"normalize", model.units.normalize},
                       {"frames", model.units.frames},
                       {"seed", model.units.seed},
                       {"kmeans", model.units.kmeans},
                       {"clusters", objective.classes()},
                       {"hop", objective.unit_hop_samples()}}
                      .dump());
  }

  Json train_identity() const {
    return {{"dev", selection_.dev},
            {"min_seconds", study_.speech.min_seconds},
            {"max_seconds", study_.speech.max_seconds}};
  }

  fs::path model_folder(const std::string& name) const { return study_.output / "models" / name; }

  bool is_done(const std::string& name, const std::string& fingerprint) const {
    const fs::path record = model_folder(name) / "pretrain.json";
    return fs::exists(record) && read_json(record).value("fingerprint", "") == fingerprint;
  }

  /// False: a signal came first.
  bool train(const PretrainModel& model) {
    std::unique_ptr<Objective> objective;
    PretrainData data;
    std::string units_print, fingerprint;
    bool done = false;
    together(ranks_, [&] {
      objective = ObjectiveRegistry::make(
          FieldReader(model.objective, study_.file.string(), "/pretrain/models/" + model.name + "/objective"));
      data = data_for(model, *objective);
      if (objective->classes() > 0) units_print = units_fingerprint(model, *objective);
      fingerprint = sha256(Json{
          {"version", kPretrainSemantics},
          {"speech", plan_->fingerprint()},
          {"train", train_identity()},
          {"units", units_print},
          {"model",
           identity_of(model)}}.dump());
      done = is_done(model.name, fingerprint);
    });
    fingerprints_[model.name] = fingerprint;
    if (done) {
      summary_.done_before += 1;
      return true;
    }
    std::optional<Units> units;
    if (objective->classes() > 0) {
      UnitSource source;
      together(ranks_, [&] { source = source_for(model); });
      const UnitRequest request{objective->classes(), objective->unit_hop_samples(),
                                [&](std::int64_t samples) { return objective->frames(samples); }, model.units};
      units = Units::make(study_.output / "units" / fmt::format("{}-{}", model.name, short_of(units_print)), *speech_,
                          data.train, source, request, ranks_, options_.show_progress);
      if (!units) return false;
      data.units = &*units;
    }
    std::unique_ptr<Pretrainer> trainer;
    together(ranks_, [&] {
      trainer = std::make_unique<Pretrainer>(
          model, *objective, data, study_.output / "training" / fmt::format("{}-{}", model.name, short_of(fingerprint)),
          fingerprint, ranks_, device_);
    });
    if (!trainer->run(options_.show_progress)) return false;
    together(ranks_, [&] {
      if (!first_) return;
      owner_->require();
      write(model, *objective, *trainer, data, fingerprint);
    });
    summary_.done += 1;
    return true;
  }

  double hours(const std::vector<std::size_t>& utterances) const {
    double samples = 0;
    for (const std::size_t u : utterances) samples += static_cast<double>(speech_->samples(u));
    return samples / kSampleRateHz / 3600;
  }

  /// Beside, then renamed; a model that was there before goes when this one is whole.
  void write(const PretrainModel& model, const Objective& objective, const Pretrainer& trainer,
             const PretrainData& data, const std::string& fingerprint) const {
    const fs::path folder = model_folder(model.name), beside = folder.string() + ".part";
    try {
      write_beside(model, objective, trainer, data, fingerprint, beside);
      fs::remove_all(folder);
      fs::rename(beside, folder);
    } catch (const fs::filesystem_error& e) {
      throw FileError(fmt::format("{}: the model cannot be written: {}", folder.string(), e.what()));
    }
    log_info("{}: {} steps, {:.0f} s", folder.string(), trainer.step(), trainer.seconds());
  }

  /// The records of the study's models that the units come from, the nearest first.
  std::vector<Json> unit_models_of(const PretrainModel& model) const {
    std::vector<Json> records;
    std::string source = model.units.model;
    while (fingerprints_.contains(source)) {
      records.push_back(read_json(model_folder(source) / "pretrain.json"));
      source = records.back().at("model").at("units").value("model", "");
    }
    return records;
  }

  void write_beside(const PretrainModel& model, const Objective& objective, const Pretrainer& trainer,
                    const PretrainData& data, const std::string& fingerprint, const fs::path& beside) const {
    fs::remove_all(beside);
    make_folder(beside.parent_path());
    objective.write_model(beside, trainer.chosen());
    CardFacts facts;
    facts.name = model.name;
    facts.model = resolved(model, data.units != nullptr);
    facts.speech = options_to_json(study_.speech);
    for (const auto& [name, utterances] : selection_.read) {
      const std::string corpus = corpora_.at(name).name();  // several folders of manifests may be of one
      if (std::find(facts.corpora.begin(), facts.corpora.end(), corpus) == facts.corpora.end())
        facts.corpora.push_back(corpus);
    }
    facts.train_utterances = static_cast<std::int64_t>(data.train.size());
    facts.dev_utterances = static_cast<std::int64_t>(data.dev.size());
    facts.held_out = selection_.held_out;
    facts.too_short = too_short_;
    facts.failed = summary_.failed;
    facts.train_hours = hours(data.train);
    facts.dev_hours = hours(data.dev);
    facts.units = data.units != nullptr ? data.units->record() : Json();
    facts.unit_models = unit_models_of(model);
    facts.parameters = trainer.parameters();
    facts.weights_sha256 = sha256_of_file(beside / "model.safetensors");
    facts.history = trainer.history();
    facts.seconds = trainer.seconds();
    facts.provenance = options_.provenance;
    facts.provenance["device"] = device_.is_cpu() ? "cpu" : "gpu";
    write_file_atomically(beside / "CARD.md", model_card(facts));
    const Json record = {{"fingerprint", fingerprint}, {"name", model.name},       {"study", study_.name},
                         {"model", facts.model},       {"speech", facts.speech},   {"units", facts.units},
                         {"history", facts.history},   {"seconds", facts.seconds}, {"provenance", facts.provenance}};
    write_file_atomically(beside / "pretrain.json", record.dump(1) + "\n");
  }

  const PretrainStudy& study_;
  const Communicator& ranks_;
  const PretrainOptions& options_;
  const bool first_;
  c10::Device device_ = c10::kCPU;
  PretrainSummary summary_;
  std::unique_ptr<Owner> owner_;  // rank 0
  std::map<std::string, Corpus> corpora_;
  std::map<std::string, Effects> effects_;
  SpeechSelection selection_;
  std::unique_ptr<SpeechPlan> plan_;
  std::unique_ptr<Speech> speech_;
  std::int64_t too_short_ = 0;
  std::map<std::string, std::string> fingerprints_;  // of the models so far
};

}  // namespace

PretrainSummary pretrain(const PretrainStudy& study, const Communicator& ranks, const PretrainOptions& options) {
  return Pretraining(study, ranks, options).run();
}

}  // namespace strata

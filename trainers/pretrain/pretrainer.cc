#include "trainers/pretrain/pretrainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/random.h"
#include "core/base/stop.h"
#include "core/pretraining/leaf_parameters.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kValidationStep = std::numeric_limits<std::uint64_t>::max();

// fairseq's limits for data2vec (`min_target_var`, `min_pred_var`), below which it gives up; the targets start near 1.
constexpr double kLeastTargetSpread = 0.1, kLeastPredictionSpread = 0.01;

/// A section of a PretrainModel, whose keys were checked when the study was read.
FieldReader part(const PretrainModel& model, const Json& value, const char* key) {
  return FieldReader(value, "the model " + model.name, std::string("/") + key);
}

std::vector<std::int64_t> lengths_of(const PretrainData& data) {
  std::vector<std::int64_t> lengths;
  for (const std::size_t u : data.train) lengths.push_back(std::min(data.speech->samples(u), data.max_samples));
  return lengths;
}

/// ", accuracy 12.5%", and so on: what `means` has besides the loss.
std::string measures_text(const Json& means) {
  std::string text;
  if (means.contains("accuracy")) text += fmt::format(", accuracy {:.1f}%", 100 * means.at("accuracy").get<double>());
  for (const auto& [key, name] :
       {std::pair{"target_spread", "targets"}, std::pair{"prediction_spread", "predictions"}}) {
    if (means.contains(key) && means.at(key).is_number())
      text += fmt::format(", spread of the {} {:.3f}", name, means.at(key).get<double>());
  }
  return text;
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

void PretrainSums::add(const PretrainSums& other) {
  loss += other.loss;
  weight += other.weight;
  correct += other.correct;
  predicted += other.predicted;
  target_spread += other.target_spread;
  samples += other.samples;
  prediction_spread += other.prediction_spread;
}

Json PretrainSums::means() const {
  Json means = {{"loss", number_or_null(loss / weight)}};
  if (predicted > 0) means["accuracy"] = correct / predicted;
  if (target_spread > 0) means["target_spread"] = number_or_null(target_spread / weight);
  if (prediction_spread > 0) means["prediction_spread"] = number_or_null(prediction_spread / weight);
  return means;
}

Pretrainer::Pretrainer(const PretrainModel& model, Objective& objective, const PretrainData& data,
                       const std::filesystem::path& folder, const std::string& fingerprint, const Communicator& ranks,
                       c10::Device device)
    : model_(model),
      objective_(objective),
      data_(data),
      folder_(folder),
      fingerprint_(fingerprint),
      ranks_(ranks),
      device_(device),
      schedule_(ScheduleRegistry::make(part(model, model.schedule, "schedule"), model.steps)),
      collectives_(Collectives::make(device, ranks)),
      batches_(lengths_of(data), std::llround(model.batch_seconds * kSampleRateHz),
               static_cast<std::uint64_t>(model.seed)) {
  flat_ = objective_.initial(static_cast<std::uint64_t>(model.seed)).to(device);
  gradient_ = at::zeros_like(flat_);
  best_flat_ = flat_.clone();
  optimizer_ = OptimizerRegistry::make(part(model, model.optimizer, "optimizer"), flat_);
  leaves_ = leaf_parameters(objective_.specs(), flat_, gradient_);
  if (fs::exists(checkpoint_path())) {
    restore();
  } else {
    const at::NoGradGuard no_grad;
    objective_.start(leaves_);
  }
  if (ranks_.rank() == 0) {
    make_folder(folder_);
    journal_ = std::make_unique<Journal>(folder_ / "journal.jsonl");
  }
}

bool Pretrainer::run(bool show_progress) {
  const auto start = Clock::now();
  const double before = seconds_;
  Progress progress("pretrain " + model_.name, model_.steps, "steps", show_progress && ranks_.rank() == 0);
  progress.update(step_);
  if (step_ > 0 && step_ < model_.steps && journal_) journal_->append({{"event", "resumed"}, {"step", step_}});
  while (step_ < model_.steps) {
    train_step();
    seconds_ = before + std::chrono::duration<double>(Clock::now() - start).count();
    const bool last = step_ == model_.steps;
    if (step_ % model_.log_every == 0 || last) log_step();
    if (!data_.dev.empty() && (step_ % model_.evaluate_every == 0 || last)) evaluate();
    if (step_ % model_.save_every == 0 || last || stop_) save();
    progress.update(step_);
    if (stop_ && !last) return false;
  }
  return true;
}

PretrainUtterance Pretrainer::utterance_of(std::size_t utterance, const Crop& crop) const {
  PretrainUtterance u;
  u.key = key_of(data_.speech->key(utterance));
  u.wave = data_.speech->wave(utterance, crop.first, crop.length).to(device_);
  if (objective_.classes() > 0) {
    const at::Tensor all = data_.units->of(data_.speech->key(utterance));
    const std::int64_t first = crop.first / objective_.unit_hop_samples();
    const std::int64_t count = std::min(objective_.frames(crop.length), all.size(0) - first);
    u.units = all.narrow(0, first, std::max<std::int64_t>(0, count));
  }
  return u;
}

PretrainUtterance Pretrainer::training_crop(std::size_t utterance) const {
  RandomStream random({static_cast<std::uint64_t>(model_.seed), key_of("crop"), static_cast<std::uint64_t>(step_),
                       key_of(data_.speech->key(utterance))});
  return utterance_of(utterance, random_crop(data_.speech->samples(utterance), data_.max_samples,
                                             objective_.unit_hop_samples(), random));
}

PretrainUtterance Pretrainer::validation_crop(std::size_t utterance) const {
  return utterance_of(utterance, {0, std::min(data_.speech->samples(utterance), data_.max_samples)});
}

PretrainSums Pretrainer::pass_over(const std::vector<std::size_t>& utterances, const Pass& pass) const {
  PretrainSums sums;
  for (std::size_t next = 0; next < utterances.size();) {
    std::vector<PretrainUtterance> together;
    std::int64_t samples = 0;
    for (; next < utterances.size() && samples < data_.graph_samples; ++next) {
      const std::size_t utterance = utterances[next];
      together.push_back(pass.training ? training_crop(utterance) : validation_crop(utterance));
      samples += together.back().wave.size(0);
    }
    const ObjectiveSums part = objective_.forward(leaves_, together, pass);
    if (pass.training && part.weight > 0) part.loss.backward();
    sums.add({part.loss.item<double>(), part.weight, part.correct, part.predicted, part.target_spread,
              static_cast<double>(samples), part.prediction_spread});
  }
  return sums;
}

void Pretrainer::reduce(PretrainSums& sums) const {
  double values[] = {sums.loss,          sums.weight,  sums.correct,          sums.predicted,
                     sums.target_spread, sums.samples, sums.prediction_spread};
  ranks_.all_reduce_sum(std::span<double>(values));
  sums = {values[0], values[1], values[2], values[3], values[4], values[5], values[6]};
}

void Pretrainer::train_step() {
  const auto start = Clock::now();
  const auto& batch = batches_.batch(step_);
  gradient_.zero_();
  std::vector<std::size_t> own;
  for (const std::int64_t i : balanced_slice(batch, batches_.lengths(), ranks_.rank(), ranks_.size()))
    own.push_back(data_.train[static_cast<std::size_t>(i)]);
  PretrainSums sums =
      pass_over(own, {static_cast<std::uint64_t>(model_.seed), static_cast<std::uint64_t>(step_), true});
  collectives_->all_reduce_sum(gradient_);
  reduce(sums);
  std::vector<std::int64_t> stop = {stop_requested() != 0 ? 1 : 0};
  ranks_.all_reduce_max(std::span(stop));

  const at::NoGradGuard no_grad;
  gradient_.div_(sums.weight);
  const UpdateResult update =
      clipped_step(*optimizer_, gradient_, optimizer_->learning_rate() * schedule_->factor(step_),
                   model_.clip > 0 ? model_.clip : std::numeric_limits<double>::infinity());
  step_ += 1;
  if (update.applied) objective_.after_step(leaves_, static_cast<std::uint64_t>(step_));
  if (std::isfinite(update.gradient_norm)) finite_steps_ += 1;
  grad_norm_ = update.gradient_norm;
  sums_.add(sums);
  stop_ = stop[0] != 0;
  event_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
}

void Pretrainer::log_step() {
  if (finite_steps_ == 0) {
    together(ranks_, [&] {
      throw DataError(
          fmt::format("the training of {} diverged: at step {} the gradient of no step since the last record was "
                      "finite; lower the learning rate, or the clip",
                      model_.name, step_));
    });
  }
  Json event = {{"event", "step"},
                {"step", step_},
                {"grad_norm", number_or_null(grad_norm_)},
                {"learning_rate", optimizer_->learning_rate() * schedule_->factor(step_ - 1)},
                {"epoch", batches_.epoch()}};
  const Json means = sums_.means();
  warn_of_collapse(means);
  event.update(means);
  const double audio_seconds = sums_.samples / kSampleRateHz;
  event["audio_seconds"] = audio_seconds;
  event["audio_seconds_per_second"] = event_seconds_ > 0 ? audio_seconds / event_seconds_ : 0;
  record(std::move(event));
  sums_ = {};
  event_seconds_ = 0;
  finite_steps_ = 0;
}

void Pretrainer::warn_of_collapse(const Json& means) {
  const auto below = [&](const char* key, double least) {
    return means.contains(key) && means.at(key).is_number() && means.at(key).get<double>() < least;
  };
  const bool targets = below("target_spread", kLeastTargetSpread),
             predictions = below("prediction_spread", kLeastPredictionSpread);
  if ((targets || predictions) && !warned_ && ranks_.rank() == 0) {
    log_warning("{}: step {}: the {} hardly differ from frame to frame{}: the {} has collapsed", model_.name, step_,
                targets ? "targets" : "predictions", measures_text(means), targets ? "teacher" : "student");
  }
  warned_ = targets || predictions;
}

PretrainSums Pretrainer::validate() const {
  const at::NoGradGuard no_grad;
  std::vector<std::size_t> own;
  for (std::size_t i = static_cast<std::size_t>(ranks_.rank()); i < data_.dev.size();
       i += static_cast<std::size_t>(ranks_.size())) {
    own.push_back(data_.dev[i]);
  }
  PretrainSums sums = pass_over(own, {static_cast<std::uint64_t>(model_.seed), kValidationStep, /*training=*/false});
  reduce(sums);
  return sums;
}

void Pretrainer::evaluate() {
  const PretrainSums sums = validate();
  const double loss = sums.loss / sums.weight;
  if (best_step_ == 0 || loss < best_loss_) {
    best_loss_ = loss;
    best_step_ = step_;
    best_flat_.copy_(flat_);
  }
  const Json means = sums.means();
  if (ranks_.rank() == 0) {
    log_info("{}: step {} of {}: on dev loss {:.4f}{}", model_.name, step_, model_.steps, loss, measures_text(means));
  }
  record({{"event", "evaluation"}, {"step", step_}, {"dev", means}, {"seconds", seconds_}});
}

void Pretrainer::record(Json event) {
  if (journal_) journal_->append(event);
  history_.push_back(std::move(event));
}

Parameters Pretrainer::chosen() const {
  const bool best = model_.keep == "best" && best_step_ > 0;
  return view_parameters(objective_.specs(), (best ? best_flat_ : flat_).cpu());
}

void Pretrainer::save() {
  together(ranks_, [&] {
    if (ranks_.rank() != 0) return;
    NamedTensors tensors = {{"parameters", flat_}, {"best", best_flat_}};
    for (const auto& [name, tensor] : optimizer_->state()) tensors["optimizer." + name] = tensor;
    for (const auto& [name, tensor] : objective_.state()) tensors["objective." + name] = tensor;
    const Json state = {{"fingerprint", fingerprint_},
                        {"step", step_},
                        {"best_loss", number_or_null(best_loss_)},
                        {"best_step", best_step_},
                        {"sums",
                         {sums_.loss, sums_.weight, sums_.correct, sums_.predicted, sums_.target_spread, sums_.samples,
                          sums_.prediction_spread}},
                        {"grad_norm", number_or_null(grad_norm_)},
                        {"event_seconds", event_seconds_},
                        {"finite_steps", finite_steps_},
                        {"history", history_},
                        {"seconds", seconds_}};
    write_safetensors(checkpoint_path(), tensors, {{"state", state.dump()}});
  });
}

void Pretrainer::restore() {
  const fs::path path = checkpoint_path();
  const auto number_or_nan = [](const Json& value) {
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  };
  std::map<std::string, std::string> metadata;
  const NamedTensors tensors = read_safetensors(path, &metadata);
  try {
    const Json state = Json::parse(metadata.at("state"));
    if (state.at("fingerprint") != fingerprint_)
      throw DataError(fmt::format("{}: it is a checkpoint of another training", path.string()));
    step_ = state.at("step");
    best_loss_ = number_or_nan(state.at("best_loss"));
    best_step_ = state.at("best_step");
    const Json& sums = state.at("sums");
    sums_ = {number_or_nan(sums.at(0)), sums.at(1), sums.at(2), sums.at(3), number_or_nan(sums.at(4)), sums.at(5)};
    // Programs before it was measured saved none: then it is unknown until the next record.
    sums_.prediction_spread = sums.size() > 6 ? number_or_nan(sums.at(6)) : std::nan("");
    if (sums_.weight == 0) sums_.prediction_spread = 0;
    grad_norm_ = number_or_nan(state.at("grad_norm"));
    event_seconds_ = state.at("event_seconds");
    finite_steps_ = state.at("finite_steps");
    history_ = state.at("history").get<std::vector<Json>>();
    seconds_ = state.at("seconds");
    for (const char* name : {"parameters", "best"}) {
      if (tensors.at(name).sizes() != flat_.sizes())
        throw DataError(fmt::format("{}: not a valid checkpoint: \"{}\" has another shape", path.string(), name));
    }
    flat_.copy_(tensors.at("parameters"));
    best_flat_.copy_(tensors.at("best"));
    NamedTensors optimizer, objective;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with("optimizer.")) optimizer[name.substr(10)] = tensor.to(device_);
      if (name.starts_with("objective.")) objective[name.substr(10)] = tensor.to(device_);
    }
    optimizer_->load_state(optimizer);
    objective_.load_state(objective);
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid checkpoint: {}", path.string(), e.what()));
  } catch (const std::out_of_range&) {
    throw DataError(fmt::format("{}: not a valid checkpoint: a part is missing", path.string()));
  }
}

}  // namespace strata

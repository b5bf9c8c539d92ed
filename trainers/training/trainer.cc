#include "trainers/training/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/stop.h"
#include "core/tensor/safetensors.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

// Batches that come from disk while one is worked on: two, so that the disk is busy when one ends early.
constexpr std::int64_t kAhead = 2;
using Clock = std::chrono::steady_clock;

std::vector<std::string> pick(const std::vector<std::string>& ids, const std::vector<std::int64_t>& indices) {
  std::vector<std::string> picked;
  for (const std::int64_t i : indices) picked.push_back(ids[static_cast<std::size_t>(i)]);
  return picked;
}

/// This rank's share of all batches of `size` ids.
std::vector<std::vector<std::string>> batches_of(const std::vector<std::string>& ids, std::int64_t size,
                                                 const Communicator& group) {
  std::vector<std::vector<std::string>> batches;
  for (std::int64_t first = group.rank() * size; first < std::ssize(ids); first += group.size() * size)
    batches.emplace_back(ids.begin() + first, ids.begin() + std::min(first + size, std::ssize(ids)));
  return batches;
}

/// What dropout masks are drawn from.
UtteranceKeys utterance_keys(const Trial& trial, std::int64_t step, const std::vector<std::string>& ids) {
  const std::uint64_t seed = trial.config.at("seed");
  UtteranceKeys keys;
  for (const std::string& id : ids) keys.push_back(RandomStream({seed, key_of(trial.id), static_cast<std::uint64_t>(step), key_of(id)}).next());
  return keys;
}

FieldReader part(const Trial& trial, const char* key) { return FieldReader(trial.config.at(key), "trial " + trial.id, std::string("/") + key); }

/// JSON has no NaN: it is written as null.
double number_or_nan(const Json& value) { return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>(); }

/// The convex weights as learned: what the papers' figures show.
Json mixing_weights(const Model& model, const Parameters& parameters) {
  const at::NoGradGuard no_grad;
  Json weights = Json::object();
  const Parameters mixing = model.mixing_weights(parameters);
  for (const auto& [name, tensor] : mixing.items()) {
    const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    weights[name] = std::vector<float>(values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
  }
  return weights;
}

/// The features of a batch where the parameters are. Nothing waits for copies from pinned memory: what is computed with
/// them comes after them on the same stream, and LibTorch keeps the memory until they are done.
std::vector<at::Tensor> features_on(c10::Device device, const FeatureBatch& batch) {
  std::vector<at::Tensor> moved;
  for (const at::Tensor& features : batch.features) moved.push_back(features.to(device, /*non_blocking=*/true));
  return moved;
}

}  // namespace

Model build_model(const Trial& trial, const Task& task, const FeatureLoader& loader) {
  std::vector<InterfaceInput> inputs;
  for (const LoaderSource& source : loader.sources()) inputs.push_back(interface_input(source));
  return Model({part(trial, "interface"), part(trial, "fusion"), part(trial, "head")}, inputs, task.classes());
}

Trainer::Trainer(const Trial& trial, const TrialData& data, const Communicator& group, Options options)
    : trial_(trial), data_(data), group_(group), options_(std::move(options)), model_(build_model(trial, *data.task, *data.loader)),
      schedule_(ScheduleRegistry::make(part(trial, "schedule"), trial.config.at("steps").get<std::int64_t>())),
      order_(static_cast<std::int64_t>(data.ids.at("train").size()), trial.config.at("batch_size"), trial.config.at("seed"),
             trial.config.at("task").dump()),
      collectives_(Collectives::make(options_.device, group)) {
  const std::uint64_t seed = trial.config.at("seed");
  flat_ = initial_parameters(model_.parameters(), seed, trial.id).to(options_.device).requires_grad_(true);
  best_flat_ = flat_.detach().clone();
  optimizer_ = OptimizerRegistry::make(part(trial, "optimizer"), flat_.detach());
  reduced_ = at::zeros({flat_.numel() + 3}, flat_.options().requires_grad(false));
  flat_.mutable_grad() = reduced_.narrow(0, 0, flat_.numel());
  restore();
  if (fitted_.items().empty() && !model_.fitted().empty()) set_fitted(data_.fit());
}

void Trainer::set_fitted(const Parameters& fitted) {
  for (const auto& [name, tensor] : fitted.items()) fitted_.add(name, tensor.to(flat_.device()));
}

Parameters Trainer::parameters(const at::Tensor& flat) const {
  Parameters all = view_parameters(model_.parameters(), flat);
  for (const auto& [name, tensor] : fitted_.items()) all.add(name, tensor);
  return all;
}

TrialEnd Trainer::run() {
  const auto start = Clock::now();
  const double before = seconds_;
  const std::int64_t steps = trial_.config.at("steps"), evaluate_every = trial_.config.at("evaluate_every");
  while (step_ < steps) {
    train_step();
    seconds_ = before + std::chrono::duration<double>(Clock::now() - start).count();
    if (step_ % evaluate_every == 0 || step_ == steps) {
      if (finite_steps_ == 0) return TrialEnd::kDiverged;
      evaluate_and_save();
    } else if (stop_) {
      save();
    }
    if (stop_ && step_ < steps) return TrialEnd::kStopped;
  }
  return TrialEnd::kDone;
}

std::vector<std::string> Trainer::ids_of_step(std::int64_t step) {
  return pick(data_.ids.at("train"), slice(order_.batch(step), group_.rank(), group_.size()));
}

void Trainer::prefetch() {
  for (prefetched_ = std::max(prefetched_, step_); prefetched_ <= step_ + kAhead; ++prefetched_) {
    data_.source->prefetch(ids_of_step(prefetched_));
  }
}

void Trainer::train_step() {
  prefetch();
  const auto mine = ids_of_step(step_);
  const std::int64_t size = flat_.numel();
  reduced_.zero_();
  at::Tensor tail_on_cpu = at::zeros({3}, at::kFloat);
  float* tail = tail_on_cpu.mutable_data_ptr<float>();  // loss sum, utterances, stop votes
  if (!mine.empty()) {
    const FeatureBatch batch = data_.source->load(mine);
    const at::Tensor logits = model_.forward_in_training(parameters(flat_), features_on(options_.device, batch), batch.lengths, utterance_keys(trial_, step_, mine));
    const LossSum loss = data_.task->loss(logits, model_.output_lengths(batch.lengths), data_.task->targets(mine));
    loss.sum.backward();
    tail[0] = loss.sum.item<float>();
    tail[1] = static_cast<float>(loss.count);
  }
  tail[2] = stop_requested() != 0 ? 1.0f : 0.0f;
  const at::NoGradGuard no_grad;
  reduced_.narrow(0, size, 3).copy_(tail_on_cpu);
  collectives_->all_reduce_sum(reduced_);
  tail_on_cpu.copy_(reduced_.narrow(0, size, 3));

  at::Tensor gradient = reduced_.narrow(0, 0, size);
  gradient.div_(tail[1]);
  const double clip = trial_.config.at("clip");
  const UpdateResult update = clipped_step(*optimizer_, gradient, optimizer_->learning_rate() * schedule_->factor(step_),
                                           clip > 0 ? clip : std::numeric_limits<double>::infinity());
  if (std::isfinite(update.gradient_norm)) finite_steps_ += 1;
  loss_sum_ += tail[0];
  loss_count_ += tail[1];
  grad_norm_ = update.gradient_norm;
  stop_ = tail[2] > 0;
  step_ += 1;
}

void Trainer::evaluate_and_save() {
  Json record = {{"step", step_}, {"train_loss", loss_sum_ / loss_count_}, {"grad_norm", grad_norm_},
                 {"learning_rate", optimizer_->learning_rate() * schedule_->factor(step_ - 1)}, {"dev", evaluate("dev", flat_.detach())},
                 {"seconds", seconds_}};
  const Json weights = mixing_weights(model_, parameters(flat_));
  if (!weights.empty()) record["weights"] = weights;
  const MetricInfo metric = data_.task->metrics().front();
  const double value = record["dev"][metric.name];
  const bool better = best_.is_null() || (metric.higher_is_better ? value > best_["dev"][metric.name].get<double>() : value < best_["dev"][metric.name].get<double>());
  if (better) {
    best_ = record;
    best_flat_.copy_(flat_.detach());
  }
  history_.push_back(std::move(record));
  if (options_.on_evaluation && group_.rank() == 0) options_.on_evaluation(history_.back());
  loss_sum_ = loss_count_ = 0;
  finite_steps_ = 0;
  save();
}

Json Trainer::evaluate(const std::string& split, const at::Tensor& flat, std::vector<Json>* predictions) const {
  const at::NoGradGuard no_grad;
  const auto& ids = data_.ids.at(split);
  const auto metrics = data_.task->metrics();
  const Parameters all = parameters(flat);
  std::vector<double> sums(2 * metrics.size() + 2, 0.0);  // metrics' sums and counts, then the loss's
  std::vector<Json> mine;
  const auto batches = batches_of(ids, options_.evaluation_batch, group_);
  for (std::size_t b = 0, asked = 0; b < batches.size(); ++b) {
    for (; asked < std::min(b + kAhead + 1, batches.size()); ++asked) data_.source->prefetch(batches[asked]);
    const std::vector<std::string>& some = batches[b];
    const FeatureBatch batch = data_.source->load(some);
    const at::Tensor logits = model_.forward(all, features_on(options_.device, batch), batch.lengths).cpu();
    const Targets targets = data_.task->targets(some);
    const at::Tensor lengths = model_.output_lengths(batch.lengths);
    const auto measured = data_.task->measure(some, logits, lengths, targets, predictions ? &mine : nullptr);
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      sums[2 * m] += measured[m].sum;
      sums[2 * m + 1] += measured[m].count;
    }
    const LossSum loss = data_.task->loss(logits, lengths, targets);
    sums[sums.size() - 2] += loss.sum.item<double>();
    sums[sums.size() - 1] += loss.count;
  }
  group_.all_reduce_sum(std::span(sums));
  if (predictions != nullptr) {
    std::map<std::string, Json> by_id;
    for (const std::string& text : group_.all_gather(Json(mine).dump())) {
      for (const Json& line : Json::parse(text)) by_id[line.at("id")] = line;
    }
    for (const std::string& id : ids) predictions->push_back(std::move(by_id.at(id)));
  }
  Json result = {{"utterances", ids.size()}, {"loss", sums[sums.size() - 2] / sums[sums.size() - 1]}};
  for (std::size_t m = 0; m < metrics.size(); ++m) result[metrics[m].name] = sums[2 * m] / sums[2 * m + 1];
  return result;
}

std::filesystem::path Trainer::checkpoint_path() const { return options_.bank / "checkpoint.safetensors"; }

void Trainer::save() const {
  if (group_.rank() != 0) return;
  NamedTensors tensors = {{"parameters", flat_.detach()}, {"best", best_flat_}};
  for (const auto& [name, tensor] : optimizer_->state()) tensors["optimizer." + name] = tensor;
  for (const auto& [name, tensor] : fitted_.items()) tensors["fitted." + name] = tensor;
  const Json state = {{"trial", trial_.id}, {"step", step_}, {"loss_sum", loss_sum_}, {"loss_count", loss_count_}, {"grad_norm", grad_norm_},
                      {"finite_steps", finite_steps_}, {"history", history_}, {"best", best_}, {"seconds", seconds_}};
  write_safetensors(checkpoint_path(), tensors, {{"state", state.dump()}});
}

void Trainer::restore() {
  const fs::path path = checkpoint_path();
  if (!fs::exists(path)) return;
  std::map<std::string, std::string> metadata;
  const NamedTensors tensors = read_safetensors(path, &metadata);
  try {
    const Json state = Json::parse(metadata.at("state"));
    if (state.at("trial") != trial_.id) throw DataError(fmt::format("{}: it is a checkpoint of trial {}, not of {}", path.string(), state.at("trial").dump(), trial_.id));
    step_ = state.at("step");
    loss_sum_ = number_or_nan(state.at("loss_sum"));
    loss_count_ = state.at("loss_count");
    grad_norm_ = number_or_nan(state.at("grad_norm"));
    finite_steps_ = state.at("finite_steps");
    history_ = state.at("history").get<std::vector<Json>>();
    best_ = state.at("best");
    seconds_ = state.at("seconds");
    for (const char* name : {"parameters", "best"}) {
      const at::Tensor& flat = tensors.at(name);
      if (flat.sizes() != flat_.sizes()) {
        throw DataError(fmt::format("{}: not a valid checkpoint: \"{}\" has the shape {}, expected {}", path.string(), name, flat.sizes().vec(), flat_.sizes().vec()));
      }
    }
    flat_.detach().copy_(tensors.at("parameters"));
    best_flat_.copy_(tensors.at("best"));
    NamedTensors optimizer;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with("optimizer.")) optimizer[name.substr(10)] = tensor;
    }
    optimizer_->load_state(optimizer);
    Parameters fitted;
    for (const ParameterSpec& spec : model_.fitted()) fitted.add(spec.name, tensors.at("fitted." + spec.name));
    set_fitted(fitted);
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid checkpoint: {}", path.string(), e.what()));
  } catch (const std::out_of_range&) {
    throw DataError(fmt::format("{}: not a valid checkpoint: a part is missing", path.string()));
  }
}

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "core/pretraining/objective.h"
#include "core/tensor/feature_spec.h"
#include "data/speech/length_batches.h"
#include "data/speech/speech.h"
#include "distributed/collectives.h"
#include "distributed/mpi.h"
#include "trainers/pretrain/study.h"
#include "trainers/pretrain/units.h"
#include "trainers/state/journal.h"

namespace strata {

/// What a model is trained on.
struct PretrainData {
  const Speech* speech = nullptr;
  std::vector<std::size_t> train, dev;  // indices into `speech`; dev may be empty
  const Units* units = nullptr;         // for objectives that predict units
  std::int64_t max_samples = 0;         // of a longer utterance a part is taken
  // Audio of one graph, about: what its activations take bounds the memory of a step, however long the batch.
  std::int64_t graph_samples = 30 * kSampleRateHz;
};

/// Sums over utterances and ranks.
struct PretrainSums {
  double loss = 0, weight = 0, correct = 0, predicted = 0, target_spread = 0, samples = 0, prediction_spread = 0;
  void add(const PretrainSums& other);
  /// loss, and, where they mean something, accuracy, target_spread and prediction_spread.
  Json means() const;
};

/// Trains one model on a device, data parallel: every rank holds all parameters, computes its share of each batch, as
/// many utterances at a time as `PretrainData::graph_samples` allows, and gradients are summed over the ranks and
/// divided by what their losses were summed over. So the loss of a step is that of one rank, and that of one utterance
/// at a time, but for rounding. Continues from the checkpoint in its folder, if there is one; at equal ranks and
/// threads the result is that of an uninterrupted run, bit for bit. Collective.
///
/// The folder holds checkpoint.safetensors and journal.jsonl: an event for every `log_every` steps and every
/// evaluation.
class Pretrainer {
 public:
  /// Throws ConfigError if the parts do not fit, DataError if the checkpoint is broken or of another run.
  Pretrainer(const PretrainModel& model, Objective& objective, const PretrainData& data,
             const std::filesystem::path& folder, const std::string& fingerprint, const Communicator& ranks,
             c10::Device device);

  /// Trains to the end, or to a stop (false: all is saved). Throws DataError on all ranks if the training diverges.
  bool run(bool show_progress);

  /// As `PretrainModel::keep` chooses; on the CPU.
  Parameters chosen() const;
  /// The events of the journal, without times.
  const std::vector<Json>& history() const { return history_; }
  double seconds() const { return seconds_; }
  std::int64_t step() const { return step_; }
  std::int64_t parameters() const { return flat_.numel(); }

 private:
  void train_step();
  /// The sums over some utterances; in training their gradient is added to what is there.
  PretrainSums pass_over(const std::vector<std::size_t>& utterances, const Pass& pass) const;
  PretrainSums validate() const;
  PretrainUtterance utterance_of(std::size_t utterance, const Crop& crop) const;
  PretrainUtterance training_crop(std::size_t utterance) const;
  PretrainUtterance validation_crop(std::size_t utterance) const;
  void reduce(PretrainSums& sums) const;
  void log_step();
  void evaluate();
  void warn_of_collapse(const Json& means);
  void save();
  void restore();
  void record(Json event);
  std::filesystem::path checkpoint_path() const { return folder_ / "checkpoint.safetensors"; }

  const PretrainModel& model_;
  Objective& objective_;
  const PretrainData& data_;
  const std::filesystem::path folder_;
  const std::string fingerprint_;
  const Communicator& ranks_;
  const c10::Device device_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<Collectives> collectives_;
  LengthBatches batches_;
  std::unique_ptr<Journal> journal_;  // rank 0

  // All on the device:
  at::Tensor flat_;       // [P] float32: all parameters
  at::Tensor gradient_;   // [P]
  at::Tensor best_flat_;  // [P]
  Parameters leaves_;     // views of flat_; their gradients are views of gradient_
  std::int64_t step_ = 0;
  bool stop_ = false;
  double best_loss_ = 0;  // on dev; only if there was an evaluation
  std::int64_t best_step_ = 0;
  // Since the last event:
  PretrainSums sums_;
  double grad_norm_ = 0, event_seconds_ = 0;
  std::int64_t finite_steps_ = 0;
  bool warned_ = false;  // of the collapse that the last record shows

  std::vector<Json> history_;
  double seconds_ = 0;
};

}  // namespace strata

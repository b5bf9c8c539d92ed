#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"
#include "data/batches/batch_order.h"
#include "data/batches/feature_loader.h"
#include "distributed/collectives.h"
#include "distributed/mpi.h"
#include "trainers/study/expand.h"
#include "trainers/tasks/task.h"

namespace strata {

/// What a trial reads.
struct TrialData {
  const Task* task = nullptr;
  const FeatureLoader* loader = nullptr;  // what the model is built for
  const BatchSource* source = nullptr;    // what its batches are: the loader, or a smaller form with the same result
  std::map<std::string, std::vector<std::string>> ids;  // by split
  std::function<Parameters()> fit = {};   // the model's fitted() tensors, float32: called if there are any and no checkpoint
};

/// How one trial ended.
enum class TrialEnd {
  kDone,
  kStopped,   // a signal: all is saved, the next run continues
  kDiverged,  // the gradient was not finite at any step since the last evaluation
};

/// Trains one trial, data parallel over the ranks of a group: every rank holds all parameters, works on its slice of each
/// global batch, and gradients are summed over the group and divided by the number of utterances of all of them. A trial
/// continues from the checkpoint in its bank folder if there is one; at equal ranks and threads the result is the same, bit
/// for bit, as without the interruption. Collective over the group.
class Trainer {
 public:
  struct Options {
    std::filesystem::path bank;  // folder of the running trial's checkpoint
    std::int64_t evaluation_batch = 32;
    c10::Device device = c10::kCPU;  // of parameters, optimizer and forward pass; a batch goes there when it is read
    std::function<void(const Json&)> on_evaluation = {};  // rank 0 of the group: each object of `history()` as it comes
  };

  /// Throws ConfigError if the parts do not fit, DataError if a checkpoint is broken.
  Trainer(const Trial& trial, const TrialData& data, const Communicator& group, Options options);

  /// Trains to the end, or to a stop.
  TrialEnd run();

  /// Metrics on a split with `parameters` (flat), each utterance counted once whatever the number of ranks.
  /// Rank 0 of the group gets a line per utterance in `predictions`, in the order of the split.
  Json evaluate(const std::string& split, const at::Tensor& parameters, std::vector<Json>* predictions = nullptr) const;

  const Model& model() const { return model_; }
  /// One object per evaluation: step, train_loss, grad_norm, learning_rate, dev metrics, interface weights.
  const std::vector<Json>& history() const { return history_; }
  /// The evaluation that was best on dev, and the flat parameters it had.
  const Json& best() const { return best_; }
  const at::Tensor& best_parameters() const { return best_flat_; }  // on the device of the options, as the next
  at::Tensor last_parameters() const { return flat_.detach(); }
  double seconds() const { return seconds_; }
  /// All tensors of the model by name: views of `flat`, and what was fitted.
  Parameters parameters(const at::Tensor& flat) const;

 private:
  /// The utterances of a step that this rank works on.
  std::vector<std::string> ids_of_step(std::int64_t step);
  void prefetch();
  void train_step();
  void evaluate_and_save();
  void save() const;
  void restore();
  void set_fitted(const Parameters& fitted);
  std::filesystem::path checkpoint_path() const;

  const Trial& trial_;
  const TrialData data_;
  const Communicator& group_;
  const Options options_;
  Model model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Schedule> schedule_;
  BatchOrder order_;

  std::unique_ptr<Collectives> collectives_;
  Parameters fitted_;    // before training, and fixed since
  at::Tensor flat_;      // [P] float32: all parameters, a leaf
  at::Tensor reduced_;   // [P + 3]: gradient (flat_'s), loss sum, utterances, stop votes; one all-reduce a step
  std::int64_t step_ = 0;
  std::int64_t prefetched_ = 0;  // steps before it are being read from disk, or were
  bool stop_ = false;
  // Since the last evaluation:
  double loss_sum_ = 0, loss_count_ = 0, grad_norm_ = 0;
  std::int64_t finite_steps_ = 0;

  std::vector<Json> history_;
  Json best_;
  at::Tensor best_flat_;
  double seconds_ = 0;
};

/// The parts of a trial as a model.
Model build_model(const Trial& trial, const Task& task, const FeatureLoader& loader);

}  // namespace strata

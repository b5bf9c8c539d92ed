#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/heads/head.h"
#include "core/losses/loss.h"
#include "core/metrics/metric.h"
#include "data/manifest/manifest.h"

namespace strata {

/// A number a task is judged by.
struct MetricInfo {
  std::string name;  // "accuracy"
  bool higher_is_better = true;
  std::string unit;  // "%" if tables show it times 100
};

/// What the utterances of a batch are to be recognised as.
struct Targets {
  at::Tensor labels;   // [B] int64 classes, or [B, U] int64 symbols
  at::Tensor lengths;  // [B] int64 symbols of each; undefined for classes
};

/// Data, labels, loss and metrics of one task. Immutable after construction and thread-safe.
/// Splits are `<prefix>.train`, `.dev` and `.test` of the corpus.
class Task {
 public:
  static constexpr const char* kKind = "task";
  virtual ~Task() = default;

  /// Utterance ids of a split ("train", "dev", "test"), in the order of the manifest's list.
  virtual const std::vector<std::string>& ids(const std::string& split) const = 0;

  /// The decision that the loss takes, and how many classes or symbols it is over.
  virtual HeadOutput output() const = 0;
  virtual std::int64_t classes() const = 0;
  /// The head of the benchmark, as a study would write it.
  virtual Json default_head() const = 0;
  /// The first one chooses the best checkpoint on dev.
  virtual std::vector<MetricInfo> metrics() const = 0;
  /// Names of the classes or symbols, by index.
  virtual const std::vector<std::string>& labels() const = 0;

  /// Frames of the head's output that an utterance's loss needs, or it is infinite and counts 0: CTC's symbols, and a
  /// blank between two equal ones.
  virtual std::int64_t frames_needed(const std::string&) const { return 1; }

  virtual Targets targets(std::span<const std::string> ids) const = 0;

  ///   logits   as `output()` says;  lengths [B] int64 valid frames
  ///   returns  sum over the batch and the utterances it is over
  virtual LossSum loss(const at::Tensor& logits, const at::Tensor& lengths, const Targets& targets) const = 0;

  /// Each metric as a sum and a count over these utterances; a line per utterance is added to `predictions` if it is given.
  virtual std::vector<SumCount> measure(std::span<const std::string> ids, const at::Tensor& logits, const at::Tensor& lengths,
                                        const Targets& targets, std::vector<Json>* predictions) const = 0;
};

using TaskRegistry = Registry<Task, const Corpus&>;

#define STRATA_REGISTER_TASK(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =   \
      ::strata::TaskRegistry::add_variant<Options, Class>(name, summary)

/// Options that every task takes.
struct TaskOptions {
  std::string splits;  // "" for the task's own name
  void fields(Fields& f) { f.text("splits", splits, "first part of the split files' names; empty: the task's type"); }
};

}  // namespace strata

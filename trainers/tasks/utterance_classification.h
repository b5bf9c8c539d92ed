#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "trainers/tasks/task.h"

namespace strata {

/// One label per utterance from a field of the manifest: cross-entropy, accuracy (SUPERB SID, arXiv:2105.01051; and LID).
/// Classes are the values of the field in the training split, sorted.
class UtteranceClassification : public Task {
 public:
  ///   task   its name, for messages and as the default prefix of its splits
  ///   field  of the manifest: "speaker", "language"
  /// Throws ConfigError if a split is missing or empty, an utterance lacks the field, there are fewer than two classes, or
  /// dev or test have a class that training never saw.
  UtteranceClassification(const std::string& task, const std::string& field, const TaskOptions& options, const Corpus& corpus);

  const std::vector<std::string>& ids(const std::string& split) const override;
  HeadOutput output() const override { return HeadOutput::kUtteranceLogits; }
  std::int64_t classes() const override { return static_cast<std::int64_t>(labels_.size()); }
  Json default_head() const override { return {{"type", "mean_pool_linear"}}; }
  std::vector<MetricInfo> metrics() const override { return {{"accuracy", true, "%"}}; }
  const std::vector<std::string>& labels() const override { return labels_; }
  Targets targets(std::span<const std::string> ids) const override;
  LossSum loss(const at::Tensor& logits, const at::Tensor& lengths, const Targets& targets) const override;
  std::vector<SumCount> measure(std::span<const std::string> ids, const at::Tensor& logits, const at::Tensor& lengths,
                                const Targets& targets, std::vector<Json>* predictions) const override;

 private:
  std::map<std::string, std::vector<std::string>> ids_;  // by split
  std::vector<std::string> labels_;
  std::unordered_map<std::string, std::int64_t> class_of_;  // by utterance id
};

}  // namespace strata

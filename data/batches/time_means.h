#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/batches/feature_loader.h"

namespace strata {

/// Batches in which one frame, the mean over an utterance's aligned frames, stands for all: [B, 1, L, D], lengths 1. For
/// models that use nothing else (Model::uses_time_means_only) this is the smallest form with the same result. A mean is
/// computed from the store when first asked for, in float64, and kept: L * D numbers an utterance. Thread-safe.
class TimeMeans : public BatchSource {
 public:
  explicit TimeMeans(FeatureLoader loader) : loader_(std::move(loader)) {}

  FeatureBatch load(const std::vector<std::string>& ids) const override;
  /// Of those whose means are not known yet.
  void prefetch(const std::vector<std::string>& ids) const override;

 private:
  /// Per upstream [L, D] float32.
  using Means = std::vector<at::Tensor>;
  Means means_of(const std::string& id) const;

  FeatureLoader loader_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, Means> known_;
};

}  // namespace strata

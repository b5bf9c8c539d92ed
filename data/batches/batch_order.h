#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// Which utterances are in the global batch of a step: each epoch is a new shuffle of the split, cut into batches, the last
/// of which may be smaller. A function of (seed, task, step) alone: any rank, at any world size, after any restart, knows it.
class BatchOrder {
 public:
  /// `task` keys the random numbers. Throws InternalError if there is nothing to draw from.
  BatchOrder(std::int64_t utterances, std::int64_t batch_size, std::uint64_t seed, const std::string& task);

  /// Indices of the utterances of step `step` (from 0).
  std::vector<std::int64_t> batch(std::int64_t step);

  std::int64_t batches_per_epoch() const { return (utterances_ + batch_size_ - 1) / batch_size_; }

 private:
  std::int64_t utterances_;
  std::int64_t batch_size_;
  std::uint64_t seed_;
  std::uint64_t task_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;  // of epoch_
};

/// The part of a batch that `rank` of `world_size` works on: every world_size-th, so that the parts differ by one at most.
std::vector<std::int64_t> slice(const std::vector<std::int64_t>& batch, int rank, int world_size);

}  // namespace strata

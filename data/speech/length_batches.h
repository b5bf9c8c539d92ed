#pragma once

#include <cstdint>
#include <vector>

#include "core/base/random.h"

namespace strata {

/// Part of an utterance, in samples.
struct Crop {
  std::int64_t first = 0;
  std::int64_t length = 0;
};

/// All of an utterance that is no longer than `longest`; else `longest` samples from a random multiple of `hop` on, so
/// that frame t of the part is frame first / hop + t of the whole.
Crop random_crop(std::int64_t samples, std::int64_t longest, std::int64_t hop, RandomStream& random);

/// Which utterances are in the batch of a step, when batches are bounded by their total length. Each epoch shuffles all
/// utterances, sorts every kPool of its batches' worth by length, so that a batch has utterances of about one length
/// and ranks get equal work, cuts batches as full as the bound allows, and shuffles these. A function of (lengths,
/// seed, step) alone: any rank, at any world size, after any restart, knows it.
class LengthBatches {
 public:
  /// How many batches' worth of utterances are sorted together.
  static constexpr std::int64_t kPool = 20;

  ///   lengths    of each utterance; one longer than the bound is a batch of its own
  ///   longest    sum of lengths of a batch, at most
  /// Throws InternalError if there is nothing to draw from.
  LengthBatches(std::vector<std::int64_t> lengths, std::int64_t longest, std::uint64_t seed);

  /// Indices of the utterances of step `step` (from 0). Looking back costs as much as starting anew.
  const std::vector<std::int64_t>& batch(std::int64_t step);

  /// Of the step that was asked for last.
  std::int64_t epoch() const { return epoch_; }

  const std::vector<std::int64_t>& lengths() const { return lengths_; }

 private:
  void cut_epoch();
  void cut_pool(std::vector<std::int64_t> pool);

  std::vector<std::int64_t> lengths_;
  std::int64_t longest_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::int64_t first_step_ = 0;                     // of the epoch
  std::vector<std::vector<std::int64_t>> batches_;  // of the epoch
};

/// The part of a batch that `rank` of `world_size` works on: the longest utterance first, each to the rank that has
/// least so far (the lowest of equals). In the order of the batch.
std::vector<std::int64_t> balanced_slice(const std::vector<std::int64_t>& batch,
                                         const std::vector<std::int64_t>& lengths, int rank, int world_size);

}  // namespace strata

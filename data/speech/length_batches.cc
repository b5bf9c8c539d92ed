#include "data/speech/length_batches.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"

namespace strata {

Crop random_crop(std::int64_t samples, std::int64_t longest, std::int64_t hop, RandomStream& random) {
  if (samples <= longest) return {0, samples};
  const std::int64_t places = (samples - longest) / hop + 1;
  return {hop * static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(places))), longest};
}

LengthBatches::LengthBatches(std::vector<std::int64_t> lengths, std::int64_t longest, std::uint64_t seed)
    : lengths_(std::move(lengths)), longest_(longest), seed_(seed) {
  if (lengths_.empty() || longest < 1) throw InternalError("batches by length over no utterances");
}

const std::vector<std::int64_t>& LengthBatches::batch(std::int64_t step) {
  if (step < first_step_ || epoch_ < 0) {
    epoch_ = -1;
    first_step_ = 0;
    batches_.clear();
    cut_epoch();
  }
  while (step >= first_step_ + static_cast<std::int64_t>(batches_.size())) cut_epoch();
  return batches_[static_cast<std::size_t>(step - first_step_)];
}

void LengthBatches::cut_epoch() {
  first_step_ += static_cast<std::int64_t>(batches_.size());
  epoch_ += 1;
  batches_.clear();
  RandomStream random({seed_, key_of("batches by length"), static_cast<std::uint64_t>(epoch_)});
  std::vector<std::int64_t> order(lengths_.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  std::vector<std::int64_t> pool;
  std::int64_t in_pool = 0;
  for (const std::int64_t u : order) {
    pool.push_back(u);
    in_pool += lengths_[static_cast<std::size_t>(u)];
    if (in_pool < kPool * longest_) continue;
    cut_pool(std::move(pool));
    pool.clear();
    in_pool = 0;
  }
  if (!pool.empty()) cut_pool(std::move(pool));
  random.shuffle(batches_);
}

void LengthBatches::cut_pool(std::vector<std::int64_t> pool) {
  const auto length = [&](std::int64_t u) { return lengths_[static_cast<std::size_t>(u)]; };
  std::stable_sort(pool.begin(), pool.end(), [&](std::int64_t a, std::int64_t b) { return length(a) < length(b); });
  std::int64_t sum = longest_;  // the first one opens a batch
  for (const std::int64_t u : pool) {
    if (sum + length(u) > longest_) {
      batches_.emplace_back();
      sum = 0;
    }
    batches_.back().push_back(u);
    sum += length(u);
  }
}

std::vector<std::int64_t> balanced_slice(const std::vector<std::int64_t>& batch,
                                         const std::vector<std::int64_t>& lengths, int rank, int world_size) {
  const auto length = [&](std::size_t i) { return lengths[static_cast<std::size_t>(batch[i])]; };
  std::vector<std::size_t> order(batch.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
  std::vector<std::int64_t> loads(static_cast<std::size_t>(world_size), 0);
  std::vector<std::size_t> mine;
  for (const std::size_t i : order) {
    const auto least = std::min_element(loads.begin(), loads.end());
    *least += length(i);
    if (least - loads.begin() == rank) mine.push_back(i);
  }
  std::sort(mine.begin(), mine.end());
  std::vector<std::int64_t> part;
  for (const std::size_t i : mine) part.push_back(batch[i]);
  return part;
}

}  // namespace strata

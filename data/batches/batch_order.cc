#include "data/batches/batch_order.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"
#include "core/base/random.h"

namespace strata {

BatchOrder::BatchOrder(std::int64_t utterances, std::int64_t batch_size, std::uint64_t seed, const std::string& task)
    : utterances_(utterances), batch_size_(batch_size), seed_(seed), task_(key_of(task)) {
  if (utterances < 1 || batch_size < 1) throw InternalError("an order of batches over no utterances");
}

std::vector<std::int64_t> BatchOrder::batch(std::int64_t step) {
  const std::int64_t epoch = step / batches_per_epoch();
  if (epoch != epoch_) {
    order_.resize(static_cast<std::size_t>(utterances_));
    std::iota(order_.begin(), order_.end(), 0);
    RandomStream random({seed_, task_, static_cast<std::uint64_t>(epoch)});
    random.shuffle(order_);
    epoch_ = epoch;
  }
  const std::int64_t first = step % batches_per_epoch() * batch_size_;
  const std::int64_t last = std::min(first + batch_size_, utterances_);
  return {order_.begin() + first, order_.begin() + last};
}

std::vector<std::int64_t> slice(const std::vector<std::int64_t>& batch, int rank, int world_size) {
  std::vector<std::int64_t> part;
  for (std::size_t i = static_cast<std::size_t>(rank); i < batch.size(); i += static_cast<std::size_t>(world_size)) part.push_back(batch[i]);
  return part;
}

}  // namespace strata

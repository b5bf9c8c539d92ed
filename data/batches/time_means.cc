#include "data/batches/time_means.h"

#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>

namespace strata {

TimeMeans::Means TimeMeans::means_of(const std::string& id) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(id);
    if (found != known_.end()) return found->second;
  }
  Means means;
  for (const at::Tensor& features : loader_.load({id}).features) means.push_back(features[0].mean({0}, false, at::kDouble).to(at::kFloat));
  const std::lock_guard lock(mutex_);
  return known_.emplace(id, std::move(means)).first->second;
}

void TimeMeans::prefetch(const std::vector<std::string>& ids) const {
  std::vector<std::string> unknown;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& id : ids) {
      if (!known_.contains(id)) unknown.push_back(id);
    }
  }
  loader_.prefetch(unknown);
}

FeatureBatch TimeMeans::load(const std::vector<std::string>& ids) const {
  std::vector<Means> all;
  for (const std::string& id : ids) all.push_back(means_of(id));
  FeatureBatch batch;
  for (std::size_t upstream = 0; upstream < loader_.sources().size(); ++upstream) {
    std::vector<at::Tensor> rows;
    for (const Means& means : all) rows.push_back(means[upstream]);
    batch.features.push_back(at::stack(rows).unsqueeze(1));
  }
  batch.lengths = at::ones({static_cast<std::int64_t>(ids.size())}, at::kLong);
  return batch;
}

}  // namespace strata

#include "tests/core/pretraining/small_objective.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include "core/base/random.h"

namespace strata {

std::unique_ptr<Objective> small_objective(const std::string& type, const Json& options) {
  Json all = {{"type", type}, {"conv_channels", 8}, {"hidden_size", 32}, {"heads", 4}, {"intermediate_size", 48}};
  if (type != "data2vec") all.update({{"classes", 5}, {"final_dim", 6}});
  if (type == "data2vec") all["average_top_layers"] = 2;
  if (type == "mrhubert") all["layers"] = {1, 1, 1};
  all.update(options);
  return ObjectiveRegistry::make(FieldReader(all, "test", "/objective"));
}

PretrainUtterance small_utterance(const Objective& objective, std::int64_t samples, std::uint64_t key,
                                  at::ScalarType dtype) {
  RandomStream random({key, 7});
  const at::Tensor wave = at::empty({samples}, at::kDouble);
  for (std::int64_t i = 0; i < samples; ++i) wave.mutable_data_ptr<double>()[i] = 0.1 * random.normal();
  PretrainUtterance utterance{key, wave.to(dtype), {}};
  if (objective.classes() == 0) return utterance;
  utterance.units = at::empty({objective.frames(samples)}, at::kLong);
  for (std::int64_t t = 0; t < utterance.units.size(0); ++t)
    utterance.units.mutable_data_ptr<std::int64_t>()[t] = static_cast<std::int64_t>(random.below(objective.classes()));
  return utterance;
}

Start::Start(const Objective& objective, at::ScalarType dtype, std::uint64_t seed)
    : flat(objective.initial(seed).to(dtype)),
      gradient(at::zeros_like(flat)),
      parameters(leaf_parameters(objective.specs(), flat, gradient)) {}

}  // namespace strata

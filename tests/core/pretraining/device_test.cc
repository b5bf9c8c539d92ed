// What a GPU is given in training, on LibTorch's device `meta`: see meta_device.cc.
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include "tests/core/pretraining/small_objective.h"

namespace strata {
namespace {

// The sums that are reported are waited for, once an utterance.
at::Scalar waited_for(const at::Tensor&) { return 1.0; }

TORCH_LIBRARY_IMPL(aten, Meta, library) { library.impl("_local_scalar_dense", waited_for); }

class OnADevice : public testing::TestWithParam<std::string> {};

void check(const std::string& type, const Json& options) {
  SCOPED_TRACE(options.dump());
  const auto objective = small_objective(type, options);
  const Start on_cpu(*objective);
  const at::Tensor flat = objective->initial(1).to(c10::kMeta), gradient = at::zeros_like(flat);
  const Parameters parameters = leaf_parameters(objective->specs(), flat, gradient);
  std::vector<PretrainUtterance> utterances;
  for (const std::int64_t samples : {400, 8000}) utterances.push_back(small_utterance(*objective, samples, 3));
  const auto learn = [&](const Parameters& learnt, bool training) {
    return objective->forward(learnt, utterances, {1, 2, training});
  };
  objective->start(on_cpu.parameters);
  const double weight = learn(on_cpu.parameters, true).weight;

  for (PretrainUtterance& utterance : utterances) utterance.wave = utterance.wave.to(c10::kMeta);
  objective->start(parameters);
  const ObjectiveSums sums = learn(parameters, true);
  EXPECT_EQ(sums.loss.device(), c10::kMeta);
  EXPECT_EQ(sums.loss.dim(), 0);
  EXPECT_EQ(sums.loss.scalar_type(), at::kFloat);
  EXPECT_EQ(sums.weight, weight);
  sums.loss.backward();
  for (const auto& [name, leaf] : parameters.items()) {
    EXPECT_EQ(leaf.grad().device(), c10::kMeta) << name;
    EXPECT_EQ(leaf.grad().storage().unsafeGetStorageImpl(), gradient.storage().unsafeGetStorageImpl()) << name;
  }
  objective->after_step(parameters, 1);
  const NamedTensors state = objective->state();
  for (const auto& [name, tensor] : state) EXPECT_EQ(tensor.device(), c10::kMeta) << name;
  objective->load_state(state);
  const c10::NoGradGuard validating;
  EXPECT_EQ(learn(parameters, false).loss.device(), c10::kMeta);
}

TEST_P(OnADevice, LearnsThere) {
  check(GetParam(), {{"dropout", 0.1}});
  check(GetParam(), {{"compute", "bfloat16"}, {"conv_bias", true}});
  if (GetParam() == "data2vec") return;
  check(GetParam(), {{"feat_extract_norm", "layer"}, {"do_stable_layer_norm", true}, {"unmasked_weight", 1}});
}

INSTANTIATE_TEST_SUITE_P(Objectives, OnADevice, testing::ValuesIn(ObjectiveRegistry::names()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace strata

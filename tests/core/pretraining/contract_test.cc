#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/upstreams/packed_product.h"
#include "core/upstreams/upstream.h"
#include "tests/core/pretraining/small_objective.h"
#include "tests/core/testing.h"
#include "tests/errors.h"

namespace strata {
namespace {

const std::string kLarge = "_large";

/// All objectives, and all once more with what the stems and norms of large models have; data2vec's norms are fixed.
std::vector<std::string> all_kinds() {
  std::vector<std::string> kinds;
  for (const std::string& type : ObjectiveRegistry::names()) kinds.insert(kinds.end(), {type, type + kLarge});
  return kinds;
}

/// What every objective promises, whichever are registered.
class Contract : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Objective> make(const Json& options = Json::object()) const {
    if (!GetParam().ends_with(kLarge)) return small_objective(GetParam(), options);
    const std::string type = GetParam().substr(0, GetParam().size() - kLarge.size());
    Json large = {{"conv_bias", true}};
    if (type != "data2vec") large.update({{"feat_extract_norm", "layer"}, {"do_stable_layer_norm", true}});
    large.update(options);
    return small_objective(type, large);
  }
  static double loss_of(const Objective& objective, const Start& start, const PretrainUtterance& utterance,
                        const Pass& pass = {}) {
    return objective.forward(start.parameters, utterance, pass).loss.item<double>();
  }
};

TEST_P(Contract, StartsFromItsSeedAlone) {
  const auto objective = make(), again = make();
  const at::Tensor initial = objective->initial(1);
  EXPECT_EQ(initial.numel(), count_elements(objective->specs()));
  EXPECT_TRUE(again->initial(1).equal(initial));
  EXPECT_FALSE(again->initial(2).equal(initial));
  std::set<std::string> names;
  for (const ParameterSpec& spec : objective->specs()) EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
}

TEST_P(Contract, DrawsFromItsKeysAlone) {
  const auto objective = make({{"dropout", 0.1}});
  const Start start(*objective);
  objective->start(start.parameters);
  PretrainUtterance utterance = small_utterance(*objective, 8000, 3);
  const double loss = loss_of(*objective, start, utterance, {1, 2, true});
  EXPECT_EQ(loss_of(*objective, start, utterance, {1, 2, true}), loss);
  EXPECT_NE(loss_of(*objective, start, utterance, {1, 3, true}), loss) << "another step";
  EXPECT_NE(loss_of(*objective, start, utterance, {2, 2, true}), loss) << "another seed";
  EXPECT_NE(loss_of(*objective, start, utterance, {1, 2, false}), loss) << "no dropout";
  utterance.key = 4;
  EXPECT_NE(loss_of(*objective, start, utterance, {1, 2, true}), loss) << "another utterance";
}

TEST_P(Contract, GivesEveryParameterAGradient) {
  const auto objective = make();
  const Start start(*objective);
  objective->start(start.parameters);
  objective->forward(start.parameters, small_utterance(*objective, 16000, 3), {}).loss.backward();
  const Parameters gradients = view_parameters(objective->specs(), start.gradient);
  for (const auto& [name, gradient] : gradients.items()) EXPECT_GT(gradient.abs().max().item<double>(), 0.0) << name;
}

// Along a random direction the loss changes as the gradient says, in float64. Not in what a teacher shares, through
// which its targets change too.
TEST_P(Contract, ItsGradientIsThatOfItsLoss) {
  const auto objective = make({{"dropout", 0.1}});
  const Start start(*objective, at::kDouble);
  objective->start(start.parameters);
  const PretrainUtterance utterance = small_utterance(*objective, 6000, 3, at::kDouble);
  objective->forward(start.parameters, utterance, {}).loss.backward();
  const c10::NoGradGuard measuring;
  const at::Tensor direction = random_tensor(start.flat.sizes().vec(), 5);
  const Parameters parts = view_parameters(objective->specs(), direction);
  for (const auto& [name, part] : parts.items()) {
    if (!objective->state().empty() && name.starts_with("feature_")) part.zero_();
  }
  constexpr double kStep = 1e-6;
  start.flat.add_(direction, kStep);
  const double above = loss_of(*objective, start, utterance);
  start.flat.add_(direction, -2 * kStep);
  const double below = loss_of(*objective, start, utterance);
  const double want = (start.gradient * direction).sum().item<double>();
  EXPECT_NEAR((above - below) / (2 * kStep), want, 1e-5 * std::abs(want));
}

TEST_P(Contract, SeveralUtterancesAreTheSumOfEachAlone) {
  const auto objective = make({{"dropout", 0.1}});
  const Start alone(*objective, at::kDouble), together(*objective, at::kDouble);
  objective->start(alone.parameters);
  const std::vector<PretrainUtterance> utterances = {small_utterance(*objective, 6000, 3, at::kDouble),
                                                     small_utterance(*objective, 400, 4, at::kDouble),
                                                     small_utterance(*objective, 9000, 5, at::kDouble)};
  ObjectiveSums want;
  for (const PretrainUtterance& utterance : utterances) {
    const ObjectiveSums one = objective->forward(alone.parameters, utterance, {});
    one.loss.backward();
    want.add(one);
  }
  const ObjectiveSums got = objective->forward(together.parameters, utterances, {});
  got.loss.backward();
  EXPECT_NEAR(got.loss.item<double>(), want.loss.item<double>(), 1e-9 * std::abs(want.loss.item<double>()));
  EXPECT_EQ(got.weight, want.weight);
  EXPECT_EQ(got.predicted, want.predicted);
  EXPECT_EQ(got.correct, want.correct);
  const double largest = alone.gradient.abs().max().item<double>();
  EXPECT_LT((together.gradient - alone.gradient).abs().max().item<double>(), 1e-9 * largest);
}

TEST_P(Contract, InBfloat16TheGradientPointsTheSameWay) {
  const auto exact = make(), rounded = make({{"compute", "bfloat16"}});
  const Start start(*exact), other(*rounded);
  exact->start(start.parameters);
  rounded->start(other.parameters);
  const PretrainUtterance utterance = small_utterance(*exact, 16000, 3);
  const std::string refusal = PackedProduct::refusal(at::kBFloat16);
  if (!refusal.empty()) {
    EXPECT_THAT(error_of<ConfigError>([&] { rounded->forward(other.parameters, utterance, {}); }),
                testing::HasSubstr(refusal));
    return;
  }
  const at::Tensor want = exact->forward(start.parameters, utterance, {}).loss;
  const at::Tensor got = rounded->forward(other.parameters, utterance, {}).loss;
  EXPECT_NEAR(got.item<double>(), want.item<double>(), 0.02 * want.item<double>());
  EXPECT_NE(got.item<double>(), want.item<double>());
  want.backward();
  got.backward();
  const double cosine = (start.gradient * other.gradient).sum().item<double>() /
                        (start.gradient.norm().item<double>() * other.gradient.norm().item<double>());
  EXPECT_GT(cosine, 0.99);
}

TEST_P(Contract, LearnsAnUtteranceByHeart) {
  const auto objective = make();
  const Start start(*objective);
  objective->start(start.parameters);
  const PretrainUtterance utterance = small_utterance(*objective, 8000, 3);
  const double before = loss_of(*objective, start, utterance);
  for (std::uint64_t step = 1; step <= 30; ++step) {
    start.gradient.zero_();
    objective->forward(start.parameters, utterance, {}).loss.backward();
    const c10::NoGradGuard updating;
    start.flat.sub_(start.gradient * (0.3 / (start.gradient.norm().item<double>() + 1e-6)));
    objective->after_step(start.parameters, step);
  }
  EXPECT_LT(loss_of(*objective, start, utterance), 0.9 * before);
}

TEST_P(Contract, ContinuesFromItsState) {
  const auto objective = make(), other = make();
  const Start start(*objective), later(*objective, at::kFloat, 2);
  objective->start(start.parameters);
  objective->after_step(later.parameters, 1);
  NamedTensors state;
  for (const auto& [name, tensor] : objective->state()) state[name] = tensor.clone();
  other->load_state(state);
  objective->after_step(start.parameters, 2);
  other->after_step(start.parameters, 2);
  const PretrainUtterance utterance = small_utterance(*objective, 8000, 3);
  EXPECT_EQ(loss_of(*other, start, utterance), loss_of(*objective, start, utterance));
  state["nothing_of_this_name"] = at::randn({1});
  EXPECT_THAT(error_of<DataError>([&] { other->load_state(state); }), testing::HasSubstr("nothing_of_this_name"));
}

TEST_P(Contract, RefusesAnUtteranceTooShortForAFrame) {
  const auto objective = make();
  const Start start(*objective);
  objective->start(start.parameters);
  PretrainUtterance utterance = small_utterance(*objective, 400, 3);
  EXPECT_GT(objective->forward(start.parameters, utterance, {}).weight, 0);
  utterance.wave = utterance.wave.narrow(0, 0, 399);
  EXPECT_THAT(error_of<DataError>([&] { objective->forward(start.parameters, utterance, {}); }),
              testing::HasSubstr("too short for one frame"));
}

// Whoever opens the folder computes what was trained, with the weights rounded to float16.
TEST_P(Contract, WritesAModelThatOpens) {
  const auto objective = make();
  const Start start(*objective);
  const std::string folder = testing::TempDir() + "/written_" + GetParam();
  objective->write_model(folder, start.parameters);
  const auto upstream = open_upstream(folder, {}, FieldReader(Json::object(), "test"));
  std::size_t found = 0;
  for (const auto& [name, stored] : upstream->weights()) {
    EXPECT_EQ(stored.scalar_type(), at::kHalf) << name;
    ++found;
  }
  EXPECT_GT(found, 30u);
  const PretrainUtterance utterance = small_utterance(*objective, 16000, 3);
  EXPECT_EQ(upstream->forward(utterance.wave, {0})[0].size(0), objective->frames(16000));
  EXPECT_EQ(upstream->spec().taps[0].hop_samples, objective->unit_hop_samples());
}

INSTANTIATE_TEST_SUITE_P(Objectives, Contract, testing::ValuesIn(all_kinds()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace strata

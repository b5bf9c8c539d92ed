#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/pretraining/trainable.h"
#include "core/upstreams/fairseq_names.h"
#include "core/upstreams/mr_encoder.h"
#include "core/upstreams/packed_product.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/speech_encoder.h"
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
  static std::string type() {
    const std::string kind = GetParam();
    return kind.ends_with(kLarge) ? kind.substr(0, kind.size() - kLarge.size()) : kind;
  }
  static Json with(const Json& options) {
    Json all = Json::object();
    if (GetParam().ends_with(kLarge)) {
      all["conv_bias"] = true;
      all.update(type() == "data2vec" ? Json{{"position_blocks", 3}, {"position_kernel", 7}}
                                      : Json{{"feat_extract_norm", "layer"}, {"do_stable_layer_norm", true}});
    }
    all.update(options);
    return all;
  }
  std::unique_ptr<Objective> make(const Json& options = Json::object()) const {
    return small_objective(type(), with(options));
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

/// The sizes of `small_objective` with these options, said once more.
EncoderConfig encoder_of(const std::string& type, const Json& options) {
  EncoderConfig config = type == "data2vec" ? data2vec_config() : EncoderConfig{};
  config.conv_dim.assign(config.conv_dim.size(), 8);
  config.conv_bias = options.value("conv_bias", false);
  config.hidden_size = 32;
  config.num_hidden_layers = 4;
  config.num_attention_heads = 4;
  config.intermediate_size = 48;
  if (type == "data2vec") {
    config.num_conv_pos_embeddings = options.value("position_blocks", config.num_conv_pos_embeddings);
    config.conv_pos_kernel_size = options.value("position_kernel", config.conv_pos_kernel_size);
    return config;
  }
  config.feat_extract_norm = options.value("feat_extract_norm", "group");
  config.do_stable_layer_norm = options.value("do_stable_layer_norm", false);
  return config;
}

MrConfig mr_encoder_of(const Json& options) {
  const std::int64_t changes = options.value("resolutions", 2) - 1, ratio = options.value("downsample", true) ? 2 : 1;
  MrConfig config;
  config.encoder = encoder_of("mrhubert", options);
  config.ratios.assign(static_cast<std::size_t>(changes), {1, ratio});
  config.layers = options.value("layers", std::vector<std::int64_t>{1, 1, 1});
  config.adapter_kernel = options.value("adapter_kernel", 1);
  config.plain_adapters = options.value("plain_adapters", false);
  return config;
}

std::size_t place_of(const FeatureSpec& spec, const std::string& tap) {
  const auto found = std::find_if(spec.taps.begin(), spec.taps.end(), [&](const Tap& t) { return t.name == tap; });
  return static_cast<std::size_t>(found - spec.taps.begin());
}

/// What the encoder that was trained makes of the unmasked wave at `tap`, with its weights rounded to float16: from the
/// options, without a look at what was written.
at::Tensor trained_state(const std::string& type, const Json& options, const Parameters& parameters,
                         const at::Tensor& wave, const std::string& tap) {
  Parameters rounded;
  for (const auto& [name, tensor] : parameters.items()) rounded.add(name, tensor.detach().to(at::kHalf).to(at::kFloat));
  const bool mr = type == "mrhubert";
  const at::Tensor heard = normalize_wave(wave, {options.value("normalize", true), mr ? 1e-5 : 1e-7});
  const EncoderConfig config = encoder_of(type, options);
  const MrConfig mr_config = mr_encoder_of(options);
  const FeatureSpec spec = mr ? mr_taps(mr_config).spec : encoder_spec(config);
  TapCollector taps(spec, {place_of(spec, tap)});
  if (mr) {
    const MrEncoder encoder(mr_config, reader_of(rounded, "float32", fairseq_spelling(config.layer_stem(), true)));
    encoder(encoder.stem(heard), taps);
  } else {
    const SpeechEncoder encoder(config, reader_of(rounded, "float32"));
    encoder(encoder.stem(heard), taps);
  }
  return std::move(taps).states()[0];
}

// Whoever opens the folder computes what was trained, with the weights rounded to float16.
TEST_P(Contract, WritesAModelThatOpens) {
  std::vector<Json> variants = {Json::object(), {{"normalize", false}}};
  if (type() == "mrhubert") {
    variants.insert(variants.end(), {{{"downsample", false}},
                                     {{"adapter_kernel", 3}},
                                     {{"plain_adapters", true}},
                                     {{"resolutions", 3}, {"layers", {1, 2, 1, 3, 1}}}});
  }
  for (const Json& variant : variants) {
    SCOPED_TRACE(variant.dump());
    const auto objective = make(variant);
    const Start start(*objective);
    start.flat.add_(0.02);  // so that biases count
    const std::string folder = testing::TempDir() + "/written_" + GetParam();
    fs::remove_all(folder);
    objective->write_model(folder, start.parameters);
    const auto upstream = open_upstream(folder, {}, FieldReader(Json::object(), "test"));
    EXPECT_GT(upstream->weights().size(), 30u);
    for (const auto& [name, stored] : upstream->weights()) EXPECT_EQ(stored.scalar_type(), at::kHalf) << name;

    const at::Tensor wave = small_utterance(*objective, 16000, 3).wave;
    EXPECT_EQ(upstream->forward(wave, {0})[0].size(0), objective->frames(16000));
    EXPECT_EQ(upstream->spec().taps[0].hop_samples, objective->unit_hop_samples());
    const std::string last = upstream->default_taps().back();
    const at::Tensor got = upstream->forward(wave, {place_of(upstream->spec(), last)})[0];
    const at::Tensor want = trained_state(type(), with(variant), start.parameters, wave, last);
    ASSERT_EQ(got.sizes(), want.sizes());
    EXPECT_LT((got - want).abs().max().item<double>(), 1e-5 * want.abs().max().item<double>()) << last;
  }
}

INSTANTIATE_TEST_SUITE_P(Objectives, Contract, testing::ValuesIn(all_kinds()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace strata

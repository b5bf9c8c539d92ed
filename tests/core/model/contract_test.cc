#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <memory>

#include "core/losses/cross_entropy.h"
#include "core/losses/ctc.h"
#include "core/model/model.h"
#include "core/tensor/safetensors.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

constexpr std::int64_t kBatch = 3, kFrames = 6, kClasses = 5;
const std::vector<std::int64_t> kLengths = {6, 1, 4};

/// A part with default options, but small where those would make 42 million parameters.
FieldReader part(const std::string& type) {
  Json options = {{"type", type}};
  if (type == "rnn_ctc") options.update({{"projector_width", 4}, {"hidden_width", 3}});
  return FieldReader(options, "test");
}

/// Registered names, and the options of the fusion.
struct Combination {
  std::string interface, head;
  Json fusion;
  std::vector<InterfaceInput> upstreams;

  std::string name() const {
    return interface + "_x_" + fusion["type"].get<std::string>() + (upstreams.back().width == 16 ? "_unequal" : "") +
           "_x_" + head;
  }
};

void PrintTo(const Combination& c, std::ostream* out) { *out << c.name(); }

/// With upstreams of unequal width, a fusion takes every option that adds parameters.
Json with_more_parameters(Json fusion) {
  for (const FieldDescription& option : FusionRegistry::entries().at(fusion["type"]).options()) {
    if (option.key == "project_to") fusion["project_to"] = 7;
    if (option.key == "weights") fusion["weights"] = "learned";
  }
  return fusion;
}

std::vector<Combination> all_combinations() {
  std::vector<Combination> all;
  for (const std::string& head : HeadRegistry::names()) {
    for (const std::string& type : FusionRegistry::names()) {
      const Json fusion = {{"type", type}};
      const bool mixes_layers = fusions_without_interfaces().contains(type);
      for (const std::string& interface : mixes_layers ? std::vector<std::string>{"no"} : InterfaceRegistry::names()) {
        if (type == "none") {
          all.push_back({interface, head, fusion, {{5, 8}}});
        } else {
          all.push_back({interface, head, fusion, {{5, 8}, {6, 8}}});
          all.push_back({interface, head, with_more_parameters(fusion), {{5, 8}, {6, 16}}});
        }
      }
    }
  }
  return all;
}

/// What every model must keep, whatever its parts: run for all registered names.
class ModelContract : public testing::TestWithParam<Combination> {
 protected:
  ModelContract()
      : upstreams_(GetParam().upstreams),
        model_({part(GetParam().interface), FieldReader(GetParam().fusion, "test"), part(GetParam().head)}, upstreams_,
               kClasses),
        flat_(0.2 * random_parameters(model_.parameters(), 7)),
        fitted_(view_parameters(model_.fitted(), random_parameters(model_.fitted(), 8))),
        lengths_(integers(kLengths)) {
    for (std::size_t i = 0; i < upstreams_.size(); ++i) {
      features_.push_back(random_tensor({kBatch, kFrames, upstreams_[i].layers, upstreams_[i].width}, 20 + i));
    }
  }

  Parameters parameters(const at::Tensor& flat) const {
    Parameters all = view_parameters(model_.parameters(), flat);
    for (const auto& [name, value] : fitted_.items()) all.add(name, value.to(flat.scalar_type()));
    return all;
  }

  at::Tensor logits(const at::Tensor& flat, const std::vector<at::Tensor>& features, const at::Tensor& lengths) const {
    return model_.forward(parameters(flat), features, lengths);
  }

  at::Tensor loss(const at::Tensor& flat, const std::vector<at::Tensor>& features) const {
    const at::Tensor y = logits(flat, features, lengths_);
    if (model_.output() == HeadOutput::kUtteranceLogits) return cross_entropy(y, integers({4, 0, 2})).sum;
    return ctc_loss(y, lengths_, {integers({1, 2, 3, 0, 4, 4}, {3, 2}), integers({2, 1, 2})}).sum;
  }

  /// Logits where they mean something: of frames, those that are valid.
  std::vector<at::Tensor> valid(const at::Tensor& y) const {
    std::vector<at::Tensor> parts;
    for (std::int64_t b = 0; b < kBatch; ++b) {
      parts.push_back(model_.output() == HeadOutput::kUtteranceLogits ? y[b] : y[b].slice(0, 0, kLengths[b]));
    }
    return parts;
  }

  std::vector<InterfaceInput> upstreams_;
  Model model_;
  at::Tensor flat_;
  Parameters fitted_;
  at::Tensor lengths_;
  std::vector<at::Tensor> features_;
};

TEST_P(ModelContract, GivesTheShapeItPromises) {
  const at::Tensor y = logits(flat_, features_, lengths_);
  if (model_.output() == HeadOutput::kUtteranceLogits) {
    EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{kBatch, kClasses}));
  } else {
    EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{kBatch, kFrames, kClasses}));
  }
  EXPECT_TRUE(y.isfinite().all().item<bool>());
}

TEST_P(ModelContract, PaddingChangesNothing) {
  std::vector<at::Tensor> other;
  for (const at::Tensor& x : features_) {
    at::Tensor changed = at::cat({x, 1e3 * at::ones_like(x)}, 1);  // longer, and garbage past the lengths
    for (std::int64_t b = 0; b < kBatch; ++b) changed[b].slice(0, kLengths[b]).fill_(-777.0);
    other.push_back(changed);
  }
  const auto want = valid(logits(flat_, features_, lengths_)), got = valid(logits(flat_, other, lengths_));
  for (std::int64_t b = 0; b < kBatch; ++b) expect_close(got[b], want[b], 1e-10);
  EXPECT_NEAR(loss(flat_, other).item<double>(), loss(flat_, features_).item<double>(), 1e-10);
}

TEST_P(ModelContract, OneUtteranceAloneGivesTheSame) {
  const auto together = valid(logits(flat_, features_, lengths_));
  for (std::int64_t b = 0; b < kBatch; ++b) {
    std::vector<at::Tensor> alone;
    for (const at::Tensor& x : features_) alone.push_back(x.slice(0, b, b + 1).slice(1, 0, kLengths[b]));
    expect_close(logits(flat_, alone, integers({kLengths[b]}))[0], together[b], 1e-10);
  }
}

TEST_P(ModelContract, TheOrderOfTheBatchChangesNothing) {
  const at::Tensor order = integers({2, 0, 1});
  std::vector<at::Tensor> permuted;
  for (const at::Tensor& x : features_) permuted.push_back(x.index_select(0, order));
  const at::Tensor y = logits(flat_, features_, lengths_);
  expect_close(logits(flat_, permuted, lengths_.index_select(0, order)), y.index_select(0, order), 1e-12);
}

TEST_P(ModelContract, EveryParameterGetsAGradient) {
  const at::Tensor flat = flat_.clone().requires_grad_();
  loss(flat, features_).backward();
  const Parameters gradients = view_parameters(model_.parameters(), flat.grad());
  for (const auto& [name, gradient] : gradients.items()) {
    EXPECT_GT(gradient.abs().max().item<double>(), 0.0) << name;
  }
}

TEST_P(ModelContract, GradientsAreThoseOfFiniteDifferences) {
  const at::Tensor flat = flat_.clone().requires_grad_();
  loss(flat, features_).backward();
  const at::Tensor gradient = flat.grad();
  // Along a random direction in each parameter: one number that every element has a share in.
  const at::Tensor direction = random_tensor({flat_.numel()}, 31);
  const Parameters parts = view_parameters(model_.parameters(), at::arange(flat_.numel(), at::kLong));
  for (const auto& [name, elements] : parts.items()) {
    const at::Tensor index = elements.reshape(-1), step = at::zeros_like(flat_);
    step.index_copy_(0, index, direction.index_select(0, index));
    constexpr double kStep = 1e-7;  // small, or it steps over the kink of one of cls_pooling's 22,528 ReLUs
    const double difference =
        (loss(flat_ + kStep * step, features_) - loss(flat_ - kStep * step, features_)).item<double>();
    const double want = (gradient * step).sum().item<double>();
    EXPECT_NEAR(difference / (2 * kStep), want, 1e-6 * std::max(1.0, std::abs(want))) << name;
  }
}

TEST_P(ModelContract, FeaturesGetGradientsToo) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& x : features_) leaves.push_back(x.clone().requires_grad_());
  loss(flat_, leaves).backward();
  for (const at::Tensor& leaf : leaves) {
    EXPECT_GT(leaf.grad().abs().max().item<double>(), 0.0);
    EXPECT_EQ(leaf.grad()[1].slice(0, 1).abs().max().item<double>(), 0.0) << "none at padded frames";
  }
}

TEST_P(ModelContract, RunsInFloat32) {
  std::vector<at::Tensor> features;
  for (const at::Tensor& x : features_) features.push_back(x.to(at::kFloat));
  const at::Tensor y = logits(flat_.to(at::kFloat), features, lengths_);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  const auto want = valid(logits(flat_, features_, lengths_)), got = valid(y);
  for (std::int64_t b = 0; b < kBatch; ++b) expect_close(got[b], want[b], 1e-4);
}

TEST_P(ModelContract, ConvexWeightsSumToOne) {
  const Parameters all = parameters(flat_);
  const Parameters weights = model_.mixing_weights(all);
  double layers = 0;
  for (const auto& [name, values] : weights.items()) {
    EXPECT_GE(values.min().item<double>(), 0.0) << name;
    const double sum = values.sum().item<double>();
    if (name == "fusion.model_weights") {
      EXPECT_NEAR(sum, 1.0, 1e-12);
      continue;
    }
    EXPECT_THAT(name, testing::EndsWith("layer_weights"));
    layers += sum;
    if (name.starts_with("interface.")) EXPECT_NEAR(sum, std::round(sum), 1e-12) << name;
  }
  EXPECT_NEAR(layers, std::round(layers), 1e-12);
  for (const auto& [name, values] : all.items()) {
    if (name.ends_with("_weights")) EXPECT_FALSE(weights.items().empty()) << name;
  }
}

/// Runs `forward` once for all rows of `bank`; see Note [Banks] in core/tensor/parameters.h.
at::Tensor run_bank(const at::Tensor& bank, const std::function<at::Tensor(const at::Tensor&)>& forward) {
  namespace ft = at::functorch;
  const std::int64_t level =
      ft::initAndPushDynamicLayer(ft::TransformType::Vmap, c10::SymInt(bank.size(0)), ft::RandomnessType::Error);
  const auto pop = [](void*) { ft::popDynamicLayerAndDeleteMetadata(); };
  const std::unique_ptr<void, decltype(pop)> guard(reinterpret_cast<void*>(1), pop);
  const at::Tensor y = forward(ft::addBatchDim(bank, 0, level));
  const ft::BatchedTensorImpl* batched = ft::maybeGetBatchedImpl(y);
  return batched->value().movedim(batched->bdim(), 0);
}

TEST_P(ModelContract, ABankGivesWhatEachTrialGivesAlone) {
  const auto forward = [&](const at::Tensor& flat) {
    if (GetParam().head != "rnn_ctc") return logits(flat, features_, lengths_);
    const Parameters all = parameters(flat);  // up to the head: LibTorch has no LSTM for banks
    FusionParts parts = model_.parts(all, lengths_);
    parts.head = [](std::size_t, const at::Tensor& x) { return x.narrow(2, 0, 4); };
    return model_.fusion().forward(all.scope("fusion"), features_, parts);
  };
  const at::Tensor bank = at::stack({flat_, flat_.flip(0), 0.5 * flat_}).requires_grad_();
  if (!forward(bank[0]).requires_grad()) return expect_close(forward(bank[0]), forward(bank[1]));  // trains nothing
  const at::Tensor together = run_bank(bank, forward);
  const at::Tensor cotangent = random_tensor(together.sizes().vec(), 41);
  (together * cotangent).sum().backward();
  for (std::int64_t k = 0; k < 3; ++k) {
    const at::Tensor flat = bank.detach()[k].clone().requires_grad_();
    const at::Tensor alone = forward(flat);
    expect_close(together[k].detach(), alone.detach(), 1e-12);
    (alone * cotangent[k]).sum().backward();
    expect_close(bank.grad()[k], flat.grad(), 1e-10);
  }
}

TEST_P(ModelContract, ParametersSurviveSavingAndLoading) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "parameters.safetensors";
  NamedTensors named;
  const Parameters all = parameters(flat_);
  for (const auto& [name, value] : all.items()) named[name] = value;
  write_safetensors(path, named);
  Parameters loaded;
  const at::Tensor resumed = at::zeros_like(flat_);
  const Parameters places = parameters(resumed);
  for (const auto& [name, value] : read_safetensors(path)) {
    loaded.add(name, value);
    at::Tensor(places[name]).copy_(value);
  }
  EXPECT_TRUE(at::equal(resumed, flat_));
  const at::Tensor expected = logits(flat_, features_, lengths_);
  EXPECT_TRUE(at::equal(logits(resumed, features_, lengths_), expected));
  // Where a weight lies in memory changes the last bits of MKL's products on some CPUs.
  expect_close(model_.forward(loaded, features_, lengths_), expected, 1e-12);
}

TEST_P(ModelContract, StartsFromSeedAndTrialAlone) {
  const auto start = [&](std::uint64_t seed, const char* trial) {
    return initial_parameters(model_.parameters(), seed, trial);
  };
  EXPECT_TRUE(at::equal(start(1, "a"), start(1, "a")));
  EXPECT_FALSE(at::equal(start(1, "a"), start(2, "a")));
  EXPECT_FALSE(at::equal(start(1, "a"), start(1, "b")));
}

std::string name_of(const testing::TestParamInfo<Combination>& info) { return info.param.name(); }

INSTANTIATE_TEST_SUITE_P(All, ModelContract, testing::ValuesIn(all_combinations()), name_of);

TEST(AllCombinations, AreThoseOfTheRegistries) {
  const std::size_t interfaces = InterfaceRegistry::names().size(), fusions = FusionRegistry::names().size(),
                    without = fusions_without_interfaces().size();
  EXPECT_EQ(all_combinations().size(),
            HeadRegistry::names().size() * (interfaces + 2 * (fusions - without - 1) * interfaces + 2 * without));
  EXPECT_EQ(without, 2);
}

}  // namespace
}  // namespace strata

#include <ATen/ATen.h>

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

/// One combination of registered names.
struct Combination {
  std::string interface, fusion, head;
};

void PrintTo(const Combination& c, std::ostream* out) { *out << c.interface << " x " << c.fusion << " x " << c.head; }

std::vector<Combination> all_combinations() {
  std::vector<Combination> all;
  for (const std::string& interface : InterfaceRegistry::names()) {
    for (const std::string& fusion : FusionRegistry::names()) {
      for (const std::string& head : HeadRegistry::names()) all.push_back({interface, fusion, head});
    }
  }
  return all;
}

/// What every model must keep, whatever its parts: run for all registered names.
class ModelContract : public testing::TestWithParam<Combination> {
 protected:
  // A fusion that takes several upstreams is given two of different depth; `none` one.
  ModelContract()
      : upstreams_(GetParam().fusion == "none" ? std::vector<InterfaceInput>{{5, 8}}
                                               : std::vector<InterfaceInput>{{5, 8}, {6, 8}}),
        model_({part(GetParam().interface), part(GetParam().fusion), part(GetParam().head)}, upstreams_, kClasses),
        flat_(0.2 * random_parameters(model_.parameters(), 7)),
        lengths_(integers(kLengths)) {
    for (std::size_t i = 0; i < upstreams_.size(); ++i) {
      features_.push_back(random_tensor({kBatch, kFrames, upstreams_[i].layers, upstreams_[i].width}, 20 + i));
    }
  }

  at::Tensor logits(const at::Tensor& flat, const std::vector<at::Tensor>& features, const at::Tensor& lengths) const {
    return model_.forward(view_parameters(model_.parameters(), flat), features, lengths);
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

TEST_P(ModelContract, ParametersSurviveSavingAndLoading) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "parameters.safetensors";
  NamedTensors named;
  const Parameters parameters = view_parameters(model_.parameters(), flat_);
  for (const auto& [name, value] : parameters.items()) named[name] = value;
  write_safetensors(path, named);
  Parameters loaded;
  for (const auto& [name, value] : read_safetensors(path)) loaded.add(name, value);
  EXPECT_TRUE(at::equal(model_.forward(loaded, features_, lengths_), logits(flat_, features_, lengths_)));
}

TEST_P(ModelContract, StartsFromSeedAndTrialAlone) {
  const auto start = [&](std::uint64_t seed, const char* trial) {
    return initial_parameters(model_.parameters(), seed, trial);
  };
  EXPECT_TRUE(at::equal(start(1, "a"), start(1, "a")));
  EXPECT_FALSE(at::equal(start(1, "a"), start(2, "a")));
  EXPECT_FALSE(at::equal(start(1, "a"), start(1, "b")));
}

std::string name_of(const testing::TestParamInfo<Combination>& info) {
  return info.param.interface + "_x_" + info.param.fusion + "_x_" + info.param.head;
}

INSTANTIATE_TEST_SUITE_P(All, ModelContract, testing::ValuesIn(all_combinations()), name_of);

TEST(AllCombinations, AreThoseOfTheRegistries) { EXPECT_GE(all_combinations().size(), 8); }

}  // namespace
}  // namespace strata

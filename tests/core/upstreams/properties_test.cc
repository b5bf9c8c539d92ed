// What holds for every model of every family: shown on models with random sizes and switches.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "core/base/error.h"
#include "tests/core/upstreams/random_model.h"
#include "tests/errors.h"

namespace strata {
namespace {

constexpr std::uint64_t kModels = 12;  // of each family

/// Frames of a stem by the definition of an unpadded convolution, layer after layer.
std::int64_t stem_frames_of(const RandomModel& model, std::int64_t samples) {
  for (std::size_t i = 0; i < model.kernels().size(); ++i) {
    if (samples < model.kernels()[i]) return 0;
    samples = (samples - model.kernels()[i]) / model.strides()[i] + 1;
  }
  return samples;
}

bool is_standard(const RandomModel& model) {
  return model.kernels() == std::vector<std::int64_t>{10, 3, 3, 3, 3, 2, 2} &&
         model.strides() == std::vector<std::int64_t>{5, 2, 2, 2, 2, 2, 2};
}

std::vector<std::size_t> all_taps(const Upstream& upstream) {
  std::vector<std::size_t> taps(upstream.spec().taps.size());
  std::iota(taps.begin(), taps.end(), 0);
  return taps;
}

class EveryFamily : public testing::TestWithParam<std::string> {};

// Lengths between the fewest samples that give a frame and 64,000, and around changes of the count.
TEST_P(EveryFamily, HasTheFramesThatTheStemGives) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto upstream = model.open();
    const std::int64_t fewest = upstream->minimum_samples();
    EXPECT_EQ(upstream->spec().receptive_field_samples, fewest);
    EXPECT_EQ(stem_frames_of(model, fewest), 1);
    EXPECT_EQ(stem_frames_of(model, fewest - 1), 0);
    EXPECT_THROW(upstream->forward(random_wave(fewest - 1, seed), {0}), DataError);
    RandomStream random({seed, 1});
    std::vector<std::int64_t> lengths = {fewest, std::max<std::int64_t>(fewest, 400)};
    for (int i = 0; i < 3; ++i) {
      const double span = std::log(64000.0 / static_cast<double>(lengths[1]));
      lengths.push_back(std::llround(static_cast<double>(lengths[1]) * std::exp(random.uniform() * span)));
    }
    for (const std::int64_t samples : lengths) {
      const std::vector<at::Tensor> states = upstream->forward(random_wave(samples, seed), all_taps(*upstream));
      for (std::size_t tap = 0; tap < states.size(); ++tap) {
        const Tap& described = upstream->spec().taps[tap];
        EXPECT_EQ(states[tap].size(0), upstream->frames(tap, samples)) << described.name << " of " << samples;
        EXPECT_EQ(states[tap].size(1), described.width) << described.name;
        EXPECT_TRUE(states[tap].isfinite().all().item<bool>()) << described.name;
        const bool plain_rate = described.name == "conv" || described.name == "proj" || described.name[0] == 'h';
        if (!plain_rate) continue;
        EXPECT_EQ(states[tap].size(0), stem_frames_of(model, samples)) << described.name << " of " << samples;
        if (is_standard(model)) EXPECT_EQ(states[tap].size(0), (samples - 400) / 320 + 1);
      }
    }
  }
}

TEST_P(EveryFamily, GivesTheSameNumbersForAnySubsetOfTaps) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto upstream = model.open();
    RandomStream random({seed, 2});
    const at::Tensor wave = random_wave(upstream->minimum_samples() + random.below(6000), seed);
    const std::vector<at::Tensor> whole = upstream->forward(wave, all_taps(*upstream));
    for (int round = 0; round < 4; ++round) {
      std::vector<std::size_t> some = all_taps(*upstream);
      random.shuffle(some);
      some.resize(1 + random.below(some.size()));
      const std::vector<at::Tensor> states = upstream->forward(wave, some);
      ASSERT_EQ(states.size(), some.size());
      for (std::size_t i = 0; i < some.size(); ++i)
        EXPECT_TRUE(states[i].equal(whole[some[i]])) << upstream->spec().taps[some[i]].name;
    }
  }
}

// There are no batches: an utterance is computed alone, whatever others are computed at the same time.
TEST_P(EveryFamily, ComputesAnUtteranceAmongOthersAsAlone) {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto upstream = RandomModel(GetParam(), seed).open();
    const std::vector<std::size_t> taps = all_taps(*upstream);
    std::vector<std::vector<at::Tensor>> alone, among(8);
    const auto wave = [&](std::size_t i) { return random_wave(upstream->minimum_samples() + 700 * i, seed + i); };
    for (std::size_t i = 0; i < among.size(); ++i) alone.push_back(upstream->forward(wave(i), taps));
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = t; i < among.size(); i += 4) among[i] = upstream->forward(wave(i), taps);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < among.size(); ++i) {
      for (std::size_t tap = 0; tap < taps.size(); ++tap)
        EXPECT_TRUE(among[i][tap].equal(alone[i][tap])) << i << " " << upstream->spec().taps[tap].name;
    }
  }
}

/// Attentions that `action` computes: one in every transformer layer.
template <class Action>
int attentions_of(Action&& action) {
  static thread_local int count;
  count = 0;
  const auto observe = [](const at::RecordFunction& function) -> std::unique_ptr<at::ObserverContext> {
    if (std::string_view(function.name()) == "aten::scaled_dot_product_attention") ++count;
    return nullptr;
  };
  const auto handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(+observe).scopes({at::RecordScope::FUNCTION}));
  std::forward<Action>(action)();
  at::removeCallback(handle);
  return count;
}

TEST_P(EveryFamily, DoesNotComputeTheLayersAboveTheHighestTap) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto upstream = model.open();
    const at::Tensor wave = random_wave(upstream->minimum_samples() + 3000, seed);
    const std::vector<Tap>& taps = upstream->spec().taps;
    const auto computed = [&](const std::vector<std::size_t>& wanted) {
      return attentions_of([&] { upstream->forward(wave, wanted); });
    };
    const std::vector<std::string> list = upstream->default_taps();
    int highest = 0;
    for (std::size_t i = 0; i < taps.size(); ++i) {
      const std::string& name = taps[i].name;
      if (GetParam() != "mr-hubert") {
        const int layers = name[0] == 'h' ? std::stoi(name.substr(1)) : 0;
        EXPECT_EQ(computed({i}), layers) << name;
        continue;
      }
      if (name == "conv" || name == "proj" || name == "input") EXPECT_EQ(computed({i}), 0) << name;
      if (i >= list.size()) continue;
      // In the order of execution, a block's input is the only tap that needs no more layers than the one before.
      const int now = computed({i}), more = name.ends_with(".0") ? 0 : 1;
      EXPECT_EQ(now, highest + more) << name;
      highest = now;
    }
    EXPECT_EQ(computed({taps.size() - 1, 1, 0}), computed({1}));
  }
}

double peak(const at::Tensor& x) { return x.abs().max().item<double>(); }

// Against the way of gradients in float64, which packs nothing and computes an utterance in one piece. So many frames
// are several of all blocks: of the stem, of attention with positions, of the feed-forward's frames.
TEST_P(EveryFamily, OfRealWidthsHasTheNumbersOfTheDefinition) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const RandomModel model(GetParam(), seed, RandomModel::Size::kWide);
    SCOPED_TRACE(model.config().dump());
    const auto upstream = model.open();
    const std::vector<std::size_t> taps = all_taps(*upstream);
    RandomStream random({seed, 3});
    const at::Tensor wave = random_wave(96000 + random.below(102400), seed);  // 299 to 619 frames
    const c10::AutoGradMode recording(true);
    const auto exact = upstream->forward_with(upstream->weights(), wave.to(at::kDouble), taps);
    const auto got = upstream->forward(wave, taps), in_float64 = upstream->forward(wave.to(at::kDouble), taps);
    for (const std::size_t tap : taps) {
      const std::string& name = upstream->spec().taps[tap].name;
      EXPECT_LE(peak(in_float64[tap] - exact[tap]), 1e-11 * peak(exact[tap])) << name;
      EXPECT_LE(peak(got[tap].to(at::kDouble) - exact[tap]), 5e-6 * peak(exact[tap])) << name;
    }
  }
}

// Without a norm the wave enters the model as it is, and its memory is the caller's.
TEST_P(EveryFamily, KeepsNothingOfTheWave) {
  const auto upstream = RandomModel(GetParam(), 0).open({{"wave_norm", "none"}});
  const at::Tensor wave = random_wave(upstream->minimum_samples() + 3000, 0), copy = wave.clone();
  const std::vector<at::Tensor> states = upstream->forward(wave, all_taps(*upstream));
  wave.fill_(7);
  const std::vector<at::Tensor> again = upstream->forward(copy, all_taps(*upstream));
  for (std::size_t tap = 0; tap < states.size(); ++tap)
    EXPECT_TRUE(states[tap].equal(again[tap])) << upstream->spec().taps[tap].name;
}

INSTANTIATE_TEST_SUITE_P(Random, EveryFamily, testing::ValuesIn(RandomModel::families()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace strata

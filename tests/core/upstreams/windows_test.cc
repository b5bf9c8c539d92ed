#include "core/upstreams/windows.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <numeric>

#include "core/base/error.h"
#include "tests/core/upstreams/random_model.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Windows, KeepEveryFrameOnce) {
  EXPECT_THAT(cut_windows(10, {6, 1}, 1), ElementsAre(Window{0, 5, 0, 4}, Window{3, 9, 4, 8}, Window{7, 10, 8, 10}));
  EXPECT_THAT(cut_windows(10, {6, 1}, 2), ElementsAre(Window{0, 4, 0, 2}, Window{0, 6, 2, 4}, Window{2, 8, 4, 6},
                                                      Window{4, 10, 6, 8}, Window{6, 10, 8, 10}));
  EXPECT_THAT(cut_windows(3, {2, 0}, 1), ElementsAre(Window{0, 2, 0, 2}, Window{2, 3, 2, 3}));
}

TEST(Windows, AreGivenInSeconds) {
  EXPECT_EQ(make_windows(10, 1, 320, "here").length, 500);
  EXPECT_EQ(make_windows(10, 1, 320, "here").context, 50);
  EXPECT_FALSE(make_windows(0, 1, 320, "here").cut(1'000'000'000));
  EXPECT_TRUE(make_windows(10, 1, 320, "here").cut(501));
  EXPECT_FALSE(make_windows(10, 1, 320, "here").cut(500));
  EXPECT_EQ(error_of<ConfigError>([] { make_windows(2, 1, 320, "here"); }),
            "here: window_seconds 2 is no longer than twice context_seconds 1");
}

double relative(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).abs().max() / want.abs().max()).item<double>();
}

class WindowsOf : public testing::TestWithParam<std::string> {};

// What a frame owes to frames near it is the same in windows with that much context; attention to those beyond is lost.
TEST_P(WindowsOf, ChangeOnlyWhatDependsOnFarFrames) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const double hop_seconds = static_cast<double>(std::accumulate(model.strides().begin(), model.strides().end(),
                                                                   std::int64_t{1}, std::multiplies<>())) /
                               kSampleRateHz;
    const auto upstream = model.open({{"window_seconds", 200 * hop_seconds}, {"context_seconds", 70 * hop_seconds}});
    const auto whole = model.open();
    const auto samples = static_cast<std::int64_t>(777 * hop_seconds * kSampleRateHz);
    const at::Tensor wave = random_wave(samples, seed);
    EXPECT_TRUE(upstream->in_windows(samples));
    EXPECT_FALSE(upstream->in_windows(samples / 5));
    EXPECT_FALSE(whole->in_windows(samples));
    EXPECT_NE(upstream->fingerprint(), whole->fingerprint());
    std::vector<std::size_t> taps(whole->spec().taps.size());
    std::iota(taps.begin(), taps.end(), 0);
    const auto want = whole->forward(wave, taps), got = upstream->forward(wave, taps);
    const auto uncut = upstream->forward_whole(wave, taps);
    for (const std::size_t tap : taps) {
      const std::string& name = whole->spec().taps[tap].name;
      ASSERT_EQ(got[tap].sizes(), want[tap].sizes()) << name;
      EXPECT_TRUE(uncut[tap].equal(want[tap])) << name;
      const bool of_stem = name == "conv" || name == "input";
      // At most 4 positional blocks of 20 frames reach less far than the context.
      const bool local = name == "proj" || name == "pos" || name == "h0" || name == "e0.0";
      EXPECT_LT(relative(got[tap], want[tap]), of_stem ? 1e-30 : local ? 2e-6 : 2.0) << name;
    }
    const at::Tensor shorter = random_wave(samples / 5, seed);
    EXPECT_TRUE(upstream->forward(shorter, {1})[0].equal(whole->forward(shorter, {1})[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(Random, WindowsOf, testing::ValuesIn(RandomModel::families()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace strata

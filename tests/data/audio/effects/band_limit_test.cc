#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "core/base/error.h"
#include "data/audio/effects/effect.h"

namespace strata {
namespace {

std::vector<float> two_tones(double low_hz, double high_hz) {
  std::vector<float> samples(16001);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = 2 * std::numbers::pi * static_cast<double>(i) / 16000;
    samples[i] = static_cast<float>(0.25 * std::sin(low_hz * t) + 0.25 * std::sin(high_hz * t));
  }
  return samples;
}

double amplitude_at(const std::vector<float>& x, double hz) {
  double s = 0, c = 0;
  for (std::size_t i = 4000; i < 12000; ++i) {
    const double t = 2 * std::numbers::pi * static_cast<double>(i) / 16000;
    s += x[i] * std::sin(hz * t);
    c += x[i] * std::cos(hz * t);
  }
  return std::hypot(s, c) / 4000;
}

TEST(BandLimit, KeepsTheLowToneRemovesTheHighOneAndKeepsTheLength) {
  const Effects effects = make_effects(Json::parse(R"([{"type": "band_limit"}])"), "study.json", "/effects");
  const std::vector<float> out = apply_effects(effects, two_tones(1000, 5000));
  ASSERT_EQ(out.size(), 16001u);
  EXPECT_NEAR(amplitude_at(out, 1000), 0.25, 1e-4);
  EXPECT_LT(amplitude_at(out, 5000), 1e-4);
}

TEST(BandLimit, TakesTheRate) {
  const Effects effects = make_effects(Json::parse(R"([{"type": "band_limit", "rate_hz": 4000}])"), "f", "");
  const std::vector<float> out = apply_effects(effects, two_tones(1000, 3000));
  EXPECT_NEAR(amplitude_at(out, 1000), 0.25, 1e-4);
  EXPECT_LT(amplitude_at(out, 3000), 1e-4);
}

TEST(BandLimit, RefusesARateOutOfRange) {
  try {
    make_effects(Json::parse(R"([{"type": "band_limit", "rate_hz": 44100}])"), "study.json", "/effects");
    FAIL() << "no error";
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "study.json /effects/0/rate_hz: 44100 is not allowed; takes an integer, 1000 to 16000");
  }
}

}  // namespace
}  // namespace strata

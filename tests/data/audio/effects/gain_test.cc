#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "data/audio/effects/effect.h"

namespace strata {
namespace {

using testing::HasSubstr;

TEST(Gain, MultipliesByTheDecibels) {
  const Effects effects = make_effects(Json::parse(R"([{"type": "gain", "db": -20}])"), "study.json", "/effects");
  const std::vector<float> out = apply_effects(effects, {1.0f, -0.5f, 0.0f});
  EXPECT_FLOAT_EQ(out[0], 0.1f);
  EXPECT_FLOAT_EQ(out[1], -0.05f);
  EXPECT_EQ(out[2], 0.0f);
}

TEST(Gain, EffectsFollowEachOther) {
  const Json list = Json::parse(R"([{"type": "gain", "db": -3}, {"type": "gain", "db": -3}])");
  const std::vector<float> out = apply_effects(make_effects(list, "study.json", "/effects"), {1.0f});
  EXPECT_NEAR(out[0], std::pow(10.0, -0.3), 1e-6);
}

TEST(Gain, WrongOptionsAreNamed) {
  const auto make = [](const char* list) {
    try {
      make_effects(Json::parse(list), "study.json", "/corpora/a/effects");
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(make(R"([{"type": "gain", "db": "loud"}])"),
              HasSubstr("study.json /corpora/a/effects/0/db: \"loud\" is not allowed; takes a number, -120 to 120"));
  EXPECT_THAT(make(R"([{"type": "gain", "dB": 3}])"), HasSubstr("/corpora/a/effects/0/dB: unknown key"));
  EXPECT_THAT(make(R"([{"type": "gian"}])"), HasSubstr("unknown effect \"gian\", did you mean \"gain\"?"));
  EXPECT_THAT(make(R"({"type": "gain"})"), HasSubstr("study.json /corpora/a/effects: expected a list of effects"));
}

TEST(Gain, ResolvedHasItsDefaults) {
  EXPECT_EQ(resolve_effects(Json::parse(R"([{"type": "gain"}])"), "f", "").dump(), R"([{"db":0.0,"type":"gain"}])");
}

}  // namespace
}  // namespace strata

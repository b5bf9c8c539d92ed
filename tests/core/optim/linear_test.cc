#include "core/optim/schedule.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Schedule> make(const std::string& options, std::int64_t steps) {
  return make_variant<ScheduleRegistry>(R"({"type": "linear")" + options + "}", steps);
}

TEST(LinearSchedule, RisesFromZeroAndFallsToZeroAfterTheLastUpdate) {
  const auto linear = make(R"(, "warmup_steps": 5)", 20);
  EXPECT_EQ(linear->factor(0), 0.0);
  EXPECT_EQ(linear->factor(4), 0.8);
  EXPECT_EQ(linear->factor(5), 1.0);
  EXPECT_DOUBLE_EQ(linear->factor(19), 1.0 / 15.0);
  EXPECT_EQ(linear->factor(20), 0.0);
  EXPECT_EQ(linear->factor(25), 0.0);
}

TEST(LinearSchedule, WithoutWarmUpStartsAtOne) { EXPECT_EQ(make("", 20)->factor(0), 1.0); }

TEST(LinearSchedule, RefusesWrongOptions) {
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "warmup_steps": 21)", 20); }),
            "schedule linear: warmup_steps 21 is more than the 20 steps of training");
  EXPECT_EQ(error_of<ConfigError>([] { make(R"(, "warmup_steps": -1)", 20); }),
            "test /part/warmup_steps: -1 is not allowed; takes an integer, at least 0");
}

}  // namespace
}  // namespace strata

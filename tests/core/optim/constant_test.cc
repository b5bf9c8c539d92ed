#include "core/optim/schedule.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

TEST(ConstantSchedule, IsOne) {
  const auto constant = make_variant<ScheduleRegistry>(R"({"type": "constant"})", std::int64_t{20});
  EXPECT_EQ(constant->factor(0), 1.0);
  EXPECT_EQ(constant->factor(19), 1.0);
}

TEST(ConstantSchedule, TakesNoOptions) {
  EXPECT_EQ(error_of<ConfigError>(
                [] { make_variant<ScheduleRegistry>(R"({"type": "constant", "warmup_steps": 5})", std::int64_t{20}); }),
            "test /part/warmup_steps: unknown key; \"constant\" takes type");
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>
#include <signal.h>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/base/progress.h"
#include "core/base/stop.h"

namespace strata {
namespace {

TEST(Nearest, CountsEdits) {
  const std::vector<std::string> names = {"hconv", "single_layer", "weighted_sum"};
  EXPECT_EQ(nearest_name("hcnov", names), "hconv");  // neighbours swapped
  EXPECT_EQ(nearest_name("hconv", names), "hconv");
  EXPECT_EQ(nearest_name("wieghtedsum", names), "weighted_sum");
  EXPECT_EQ(nearest_name("singlelayers", names), "single_layer");
  EXPECT_EQ(nearest_name("attention", names), "");
  EXPECT_EQ(nearest_name("isd", {"asr", "sid"}), "sid");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(did_you_mean("hcnov", names), ", did you mean \"hconv\"?");
  EXPECT_EQ(did_you_mean("attention", names), "");
}

TEST(Progress, SaysHowFarItIs) {
  EXPECT_EQ(Progress::line("extract hubert/debian", 120, 500, "utterances", 24),
            "extract hubert/debian: 120 of 500 utterances, 24 a second, 16 s left");
  EXPECT_EQ(Progress::line("sweep", 1, 500, "trials", 0.5), "sweep: 1 of 500 trials, 0.50 a second, 17 min left");
  EXPECT_EQ(Progress::line("sweep", 1, 20000, "trials", 0.5), "sweep: 1 of 20000 trials, 0.50 a second, 11.1 h left");
  EXPECT_EQ(Progress::line("sweep", 0, 3, "trials", 0), "sweep: 0 of 3 trials");
  EXPECT_EQ(Progress::line("sweep", 3, 3, "trials", 1.5), "sweep: 3 of 3 trials, 1.50 a second");
}

TEST(Progress, IsSilentIfItIsNotShown) {
  testing::internal::CaptureStderr();
  {
    Progress progress("sweep", 3, "trials", false);
    progress.update(3);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  {
    Progress progress("sweep", 3, "trials", true);
    progress.update(1);
    progress.update(3);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "sweep: 3 of 3 trials\n");
}

TEST(Errors, HaveTheirExitCodes) {
  EXPECT_EQ(ConfigError("x").exit_code(), 2);
  EXPECT_EQ(DataError("x").exit_code(), 1);
  EXPECT_EQ(ShapeError("x").exit_code(), 1);
  EXPECT_EQ(CommError("x").exit_code(), 1);
  EXPECT_STREQ(InternalError("x").what(), "internal error: x");
  EXPECT_EQ(kExitPartial, 3);
  EXPECT_EQ(kExitRequeue, 75);
}

TEST(Stop, IsAskedForBySignals) {
  install_stop_signals();
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
    request_stop(0);
    EXPECT_EQ(stop_requested(), 0);
    ::raise(signal);
    EXPECT_EQ(stop_requested(), signal);
  }
}

TEST(StopDeathTest, EndsAtASecondInterrupt) {
  EXPECT_EXIT(
      {
        install_stop_signals();
        request_stop(0);
        ::raise(SIGINT);
        ::raise(SIGINT);
        ::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(Cores, AreSharedByTheRanksOfANode) {
  const int cores = node_cores();
  EXPECT_GE(cores, 1);
  EXPECT_EQ(share_of_cores(1), cores);
  EXPECT_EQ(share_of_cores(2 * cores), 1);
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "tests/tools/goldens/perturbed.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/optim";

TEST(OptimGoldens, AllPass) { expect_all_pass(check_optim(kFolder), 170); }

TEST(OptimGoldens, EveryExpectedTensorOffByMoreThanTwiceItsToleranceFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  const int changed = perturb_expected_tensors(copy);
  std::size_t in_float64 = 0;
  for (const std::string& name : failing(check_optim(copy))) in_float64 += name.ends_with(" float64") ? 1 : 0;
  EXPECT_EQ(in_float64, changed);
}

TEST(OptimGoldens, AFolderWithoutFixturesFails) { EXPECT_FALSE(failing(check_optim("tests/golden/nothing")).empty()); }

}  // namespace
}  // namespace strata

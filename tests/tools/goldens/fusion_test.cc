#include <gmock/gmock.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "tests/tools/goldens/perturbed.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/fusion";

TEST(FusionGoldens, AllPass) { expect_all_pass(check_fusion(kFolder), 400); }

TEST(FusionGoldens, EveryExpectedTensorOffByMoreThanTwiceItsToleranceFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  const int changed = perturb_expected_tensors(copy);
  std::size_t in_float64 = 0;
  for (const std::string& name : failing(check_fusion(copy))) in_float64 += name.ends_with(" float64") ? 1 : 0;
  EXPECT_EQ(in_float64, changed);
}

TEST(FusionGoldens, AFolderWithoutFixturesFails) {
  EXPECT_FALSE(failing(check_fusion("tests/golden/nothing")).empty());
}

TEST(FusionGoldens, WhatIsNotKnownFailsWithItsReason) {
  const std::filesystem::path copy = copy_of(kFolder);
  Json cases = read_json(copy / "cases.json");
  cases[1]["algorithm"] = "majority_vote";
  cases[2]["task"] = "diarization";
  cases[3]["inputs_case"] = "inputs_four";
  write_file_atomically(copy / "cases.json", cases.dump());
  std::string reasons;
  for (const GoldenLine& line : check_fusion(copy)) reasons += line.reason + "\n";
  EXPECT_THAT(reasons, testing::HasSubstr("fusion \"majority_vote\" is not known yet"));
  EXPECT_THAT(reasons, testing::HasSubstr("task \"diarization\" is not known"));
  EXPECT_THAT(reasons, testing::HasSubstr("cases.json does not describe \"inputs_four\""));
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "tests/tools/goldens/perturbed.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/heads";

TEST(HeadGoldens, AllPass) { expect_all_pass(check_heads(kFolder), 100); }

TEST(HeadGoldens, EveryExpectedTensorOffByMoreThanTwiceItsToleranceFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  const int changed = perturb_expected_tensors(copy);
  std::size_t in_float64 = 0;
  for (const std::string& name : failing(check_heads(copy))) in_float64 += name.ends_with(" float64") ? 1 : 0;
  EXPECT_EQ(in_float64, changed);
}

TEST(HeadGoldens, AFolderWithoutFixturesFails) { EXPECT_FALSE(failing(check_heads("tests/golden/nothing")).empty()); }

TEST(HeadGoldens, AnotherTextFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  Json cases = read_json(copy / "cases.json");
  std::vector<std::string> expected;
  for (Json& golden_case : cases) {
    if (!golden_case.contains("hyp")) continue;
    golden_case["hyp"][0] = golden_case["hyp"][0].get<std::string>() + " B";
    golden_case["ref"][1] = "";
    for (const char* key : {" hyp", " ref"})
      expected.push_back("heads/" + golden_case["case"].get<std::string>() + key);
  }
  write_file_atomically(copy / "cases.json", cases.dump());
  EXPECT_GE(expected.size(), 6);
  EXPECT_THAT(failing(check_heads(copy)), testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace strata

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "tests/tools/goldens/perturbed.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/interfaces";

TEST(InterfaceGoldens, AllPass) { expect_all_pass(check_interfaces(kFolder), 100); }

TEST(InterfaceGoldens, EveryExpectedTensorOffByMoreThanTwiceItsToleranceFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  const int changed =
      perturb_expected_tensors(copy, [](const std::string& file, const std::string& key, const at::Tensor& want) {
        if (!file.ends_with("_fit")) return allowed_in_float64(want);
        return key == "components" ? 1e-6 : 1e-9 * want.abs().max().item<double>();
      });
  std::size_t in_float64 = 0;
  for (const std::string& name : failing(check_interfaces(copy))) in_float64 += name.ends_with(" float64") ? 1 : 0;
  EXPECT_EQ(in_float64, changed);
}

TEST(InterfaceGoldens, AFolderWithoutFixturesFails) {
  EXPECT_FALSE(failing(check_interfaces("tests/golden/nothing")).empty());
}

TEST(InterfaceGoldens, AnotherShapeOfHConvFails) {
  const std::filesystem::path copy = copy_of(kFolder);
  Json shapes = read_json(copy / "hconv_shapes.json");
  shapes["cases"][10]["convs"][0][0] = 6;
  write_file_atomically(copy / "hconv_shapes.json", shapes.dump());
  EXPECT_EQ(failing(check_interfaces(copy)), std::vector<std::string>{"interfaces/hconv_shapes 13 layers"});
}

TEST(InterfaceGoldens, WhatIsNotKnownFailsWithItsReason) {
  const std::filesystem::path copy = copy_of(kFolder);
  Json cases = read_json(copy / "cases.json");
  cases[0]["kind"] = "layer_lottery";
  cases[1]["config"]["dilation"] = 2;
  cases[2]["case"] = "not_there";
  write_file_atomically(copy / "cases.json", cases.dump());
  std::string reasons;
  for (const GoldenLine& line : check_interfaces(copy)) reasons += line.reason + "\n";
  EXPECT_THAT(reasons, testing::HasSubstr("interface \"layer_lottery\" is not known yet"));
  EXPECT_THAT(reasons, testing::HasSubstr("config key \"dilation\" is not known"));
  EXPECT_THAT(reasons, testing::HasSubstr("not_there.safetensors"));
  EXPECT_THAT(reasons, testing::HasSubstr("cases.json does not name this file"));
}

}  // namespace
}  // namespace strata

#include <gmock/gmock.h>

#include <algorithm>

#include "core/tensor/safetensors.h"
#include "tools/goldens/golden.h"

namespace strata {
namespace {

const std::filesystem::path kFolder = "tests/golden/spectral";

TEST(SpectralGoldens, AllPass) {
  const std::vector<GoldenLine> lines = check_spectral(kFolder);
  EXPECT_EQ(lines.size(), 2 * 33);
  for (const GoldenLine& line : lines) {
    EXPECT_TRUE(line.passes()) << line.name << ": " << line.error << " of " << line.allowed << " " << line.reason;
  }
}

TEST(SpectralGoldens, AValueOffByMoreThanItsToleranceFails) {
  const std::filesystem::path copy = testing::TempDir() + "/spectral";
  std::filesystem::create_directories(copy);
  std::filesystem::copy_file(kFolder / "tolerances.json", copy / "tolerances.json",
                             std::filesystem::copy_options::overwrite_existing);
  NamedTensors tensors = read_safetensors(kFolder / "spectral.safetensors");
  tensors["w2.mfcc.cmvn"] = tensors["w2.mfcc.cmvn"].clone();
  tensors["w2.mfcc.cmvn"].data_ptr<double>()[5] += 2.5e-9;
  write_safetensors(copy / "spectral.safetensors", tensors);
  const std::vector<GoldenLine> lines = check_spectral(copy);
  std::vector<std::string> failing;
  for (const GoldenLine& line : lines) {
    if (!line.passes()) failing.push_back(line.name);
  }
  EXPECT_EQ(failing, std::vector<std::string>{"spectral/w2.mfcc.cmvn float64"});
}

TEST(SpectralGoldens, AFolderWithoutFixturesFails) {
  const std::vector<GoldenLine> lines = check_spectral("tests/golden/none");
  ASSERT_EQ(lines.size(), 1);
  EXPECT_FALSE(lines[0].passes());
}

}  // namespace
}  // namespace strata

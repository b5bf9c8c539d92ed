#include <gmock/gmock.h>

#include <fstream>

#include "core/tensor/safetensors.h"
#include "tools/goldens/golden.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
const fs::path kFolder = "tests/golden/upstreams";

fs::path copy_of(const std::string& fixture) {
  const fs::path copy = fs::path(testing::TempDir()) / "goldens" / fixture;
  fs::remove_all(copy);
  fs::create_directories(copy);
  for (const auto& entry : fs::directory_iterator(kFolder / fixture)) {
    if (entry.is_regular_file()) fs::copy_file(entry.path(), copy / entry.path().filename());
  }
  return copy;
}

std::vector<std::string> failing(const std::vector<GoldenLine>& lines) {
  std::vector<std::string> names;
  for (const GoldenLine& line : lines) {
    if (!line.passes()) names.push_back(line.name);
  }
  return names;
}

TEST(UpstreamGoldens, AllPass) {
  const std::vector<GoldenLine> lines = check_upstreams(kFolder);
  EXPECT_GT(lines.size(), 700);
  for (const GoldenLine& line : lines) {
    EXPECT_TRUE(line.passes()) << line.name << ": " << line.error << " of " << line.allowed << " " << line.reason;
  }
}

TEST(UpstreamGoldens, AValueOffByMoreThanItsToleranceFails) {
  const fs::path copy = copy_of("hubert-posbn");
  NamedTensors expected = read_safetensors(copy / "expected.safetensors");
  at::Tensor& state = expected["w1.h1_f64"];
  state = state.clone();
  const float largest = state.abs().max().item<float>();
  state.data_ptr<float>()[7] += 2.5F * 5e-6F * largest;
  write_safetensors(copy / "changed.safetensors", expected);
  fs::rename(copy / "changed.safetensors", copy / "expected.safetensors");
  EXPECT_THAT(failing(check_upstreams(copy)),
              testing::ElementsAre("upstreams/hubert-posbn w1.h1 float32", "upstreams/hubert-posbn w1.h1 float64"));
}

TEST(UpstreamGoldens, AGradientOffByMoreThanItsToleranceFails) {
  const fs::path copy = copy_of("hubert-group");
  NamedTensors gradients = read_safetensors(copy / "grads.safetensors");
  at::Tensor& value = gradients["grad.encoder.layer_norm.weight_f64"];
  value = value.clone();
  value.data_ptr<float>()[3] += 2.5F * 1e-5F * value.abs().max().item<float>();
  write_safetensors(copy / "changed.safetensors", gradients);
  fs::rename(copy / "changed.safetensors", copy / "grads.safetensors");
  EXPECT_THAT(failing(check_upstreams(copy)),
              testing::ElementsAre("upstreams/hubert-group grad.encoder.layer_norm.weight float32",
                                   "upstreams/hubert-group grad.encoder.layer_norm.weight float64"));
}

TEST(UpstreamGoldens, AnUnknownFamilyIsOneFailingLineWithTheReason) {
  const fs::path copy = copy_of("hubert-posbn");
  std::ofstream(copy / "config.json", std::ios::trunc) << R"({"model_type": "whisper"})";
  const std::vector<GoldenLine> lines = check_upstreams(copy);
  ASSERT_EQ(lines.size(), 1);
  EXPECT_FALSE(lines[0].passes());
  EXPECT_THAT(lines[0].reason, testing::HasSubstr("/model_type: unknown upstream \"whisper\""));
}

TEST(UpstreamGoldens, AFolderWithoutFixturesFails) {
  const std::vector<GoldenLine> lines = check_upstreams("tests/golden/none");
  ASSERT_EQ(lines.size(), 1);
  EXPECT_THAT(lines[0].reason, testing::HasSubstr("there is no fixture"));
}

}  // namespace
}  // namespace strata

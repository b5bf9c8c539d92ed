// What a GPU is given, on LibTorch's device `meta`: see meta_device.cc.
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <numeric>

#include "tests/core/upstreams/random_model.h"

namespace strata {
namespace {

constexpr std::uint64_t kModels = 12;  // of each family

class OnADevice : public testing::TestWithParam<std::string> {};

TEST_P(OnADevice, HasTheShapesOfTheCpu) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto on_cpu = model.open(), on_device = model.open(Json::object(), c10::kMeta);
    EXPECT_EQ(on_cpu->device(), c10::kCPU);
    EXPECT_EQ(on_device->device(), c10::kMeta);
    EXPECT_EQ(on_device->compute(), "float32");
    std::vector<std::size_t> taps(on_cpu->spec().taps.size());
    std::iota(taps.begin(), taps.end(), 0);
    for (const std::int64_t samples : {on_cpu->minimum_samples(), on_cpu->minimum_samples() + 12345}) {
      const at::Tensor wave = random_wave(samples, seed);
      const auto want = on_cpu->forward(wave, taps), got = on_device->forward(wave, taps);
      for (std::size_t t = 0; t < taps.size(); ++t) {
        EXPECT_EQ(got[t].device(), c10::kMeta) << t;
        EXPECT_EQ(got[t].scalar_type(), at::kFloat) << t;
        EXPECT_EQ(got[t].sizes(), want[t].sizes()) << t;
      }
    }
  }
}

// A GPU computes in 16 bits whatever this machine's CPU can.
TEST_P(OnADevice, MayComputeIn16Bits) {
  for (const char* compute : {"bfloat16", "float16"}) {
    const auto upstream = RandomModel(GetParam(), 1).open({{"compute", compute}}, c10::kMeta);
    EXPECT_EQ(upstream->compute(), compute);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OnADevice, testing::ValuesIn(RandomModel::families()), [](const auto& info) {
  std::string name = info.param;
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
});

}  // namespace
}  // namespace strata

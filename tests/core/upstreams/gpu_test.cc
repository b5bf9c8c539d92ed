// Needs a GPU, so it is run by name: tools/test //tests/core/upstreams:gpu_test
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "distributed/device.h"
#include "tests/core/upstreams/random_model.h"

namespace strata {
namespace {

constexpr std::uint64_t kModels = 12;  // of each family

double peak(const at::Tensor& x) { return x.numel() == 0 ? 0.0 : x.abs().max().item<double>(); }

double relative_rms(const at::Tensor& got, const at::Tensor& want) {
  return std::sqrt(((got - want).square().mean() / want.square().mean()).item<double>());
}

class OnAGpu : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { make_gpus_repeatable(); }
};

TEST_P(OnAGpu, HasTheNumbersOfTheCpu) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto on_cpu = model.open(), on_gpu = model.open(Json::object(), c10::Device(c10::kCUDA, 0));
    std::vector<std::size_t> taps(on_cpu->spec().taps.size());
    std::iota(taps.begin(), taps.end(), 0);
    const at::Tensor wave = random_wave(16000, seed);
    const auto exact = on_cpu->forward(wave.to(at::kDouble), taps), got = on_gpu->forward(wave, taps);
    const auto again = on_gpu->forward(wave, taps);
    for (std::size_t t = 0; t < taps.size(); ++t) {
      EXPECT_LE(peak(got[t].cpu().to(at::kDouble) - exact[t]), 5e-6 * peak(exact[t])) << t;
      EXPECT_TRUE(again[t].equal(got[t])) << t;
    }
  }
}

TEST_P(OnAGpu, In16BitsChangesFeaturesByItsRounding) {
  for (const auto& [compute, rounding] : {std::pair{"bfloat16", 1.0 / 256}, std::pair{"float16", 1.0 / 2048}}) {
    const RandomModel model(GetParam(), 1);
    const auto on_cpu = model.open(), on_gpu = model.open({{"compute", compute}}, c10::Device(c10::kCUDA, 0));
    const at::Tensor wave = random_wave(16000, 1);
    const auto want = on_cpu->forward(wave, {1}), got = on_gpu->forward(wave, {1});
    EXPECT_EQ(got[0].scalar_type(), at::kFloat);
    EXPECT_GT(relative_rms(got[0].cpu(), want[0]), 0.02 * rounding);
    EXPECT_LT(relative_rms(got[0].cpu(), want[0]), 10 * rounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OnAGpu, testing::ValuesIn(RandomModel::families()), [](const auto& info) {
  std::string name = info.param;
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
});

}  // namespace
}  // namespace strata

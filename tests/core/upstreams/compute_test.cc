#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/packed_product.h"
#include "core/upstreams/untrained.h"
#include "core/upstreams/upstream.h"
#include "tests/core/upstreams/random_model.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

fs::path model() {
  const fs::path folder = fs::path(testing::TempDir()) / "compute_model";
  if (fs::exists(folder)) return folder;
  UntrainedOptions options;
  options.conv_dim = 64;
  options.hidden_size = 64;
  options.layers = 3;
  options.heads = 4;
  options.intermediate_size = 128;
  write_untrained_hubert(folder, options);
  return folder;
}

std::unique_ptr<Upstream> open(const Json& options) {
  return open_upstream(model().string(), {}, FieldReader(options, "study.json"));
}

double relative_rms(const at::Tensor& got, const at::Tensor& want) {
  return std::sqrt(((got - want).square().mean() / want.square().mean()).item<double>());
}

class Compute : public testing::TestWithParam<std::pair<std::string, at::ScalarType>> {};

// bfloat16 keeps 8 bits, float16 11.
TEST_P(Compute, ChangesFeaturesByItsRounding) {
  const auto& [name, type] = GetParam();
  const std::string refusal = PackedProduct::refusal(type);
  if (!refusal.empty()) {
    EXPECT_THAT(error_of<ConfigError>([&] { open({{"compute", name}}); }), HasSubstr("compute \"" + name + "\": " + refusal));
    return;
  }
  const auto exact = open(Json::object()), reduced = open({{"compute", name}});
  EXPECT_EQ(exact->compute(), "float32");
  EXPECT_EQ(reduced->compute(), name);
  const at::Tensor wave = random_wave(16000, 1);
  const std::vector<std::size_t> taps = {0, 1, 2, 3, 4};  // h0 .. h3, conv
  const auto want = exact->forward(wave, taps), got = reduced->forward(wave, taps);
  const auto measured = reduced->forward_exact(wave, taps), again = reduced->forward(wave, taps);
  const double rounding = type == at::kBFloat16 ? 1.0 / 256 : 1.0 / 2048;
  for (std::size_t t = 0; t < taps.size(); ++t) {
    EXPECT_GT(relative_rms(got[t], want[t]), 0.05 * rounding) << t;
    EXPECT_LT(relative_rms(got[t], want[t]), 5 * rounding) << t;
    EXPECT_TRUE(measured[t].equal(want[t])) << t;
    EXPECT_TRUE(again[t].equal(got[t])) << t;
  }
}

TEST_P(Compute, DoesNotTouchFloat64) {
  const auto& [name, type] = GetParam();
  if (!PackedProduct::refusal(type).empty()) return;  // the other test sees it refused
  const at::Tensor wave = random_wave(8000, 2).to(at::kDouble);
  EXPECT_TRUE(open({{"compute", name}})->forward(wave, {3})[0].equal(open(Json::object())->forward(wave, {3})[0]));
}

INSTANTIATE_TEST_SUITE_P(Types, Compute,
                         testing::Values(std::pair{"bfloat16", at::kBFloat16}, std::pair{"float16", at::kHalf}));

}  // namespace
}  // namespace strata

#include "core/upstreams/untrained.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/upstream.h"
#include "tests/errors.h"

namespace strata {
namespace {

fs::path fresh(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / name;
  fs::remove_all(folder);
  return folder;
}

UntrainedOptions small() {
  UntrainedOptions options;
  options.conv_dim = 16;
  options.hidden_size = 32;
  options.layers = 2;
  options.heads = 4;
  options.intermediate_size = 48;
  return options;
}

std::unique_ptr<Upstream> open(const fs::path& folder) {
  return open_upstream(folder.string(), {}, FieldReader(Json::object(), "study.json"));
}

TEST(Untrained, HasTheFrameRateAskedFor) {
  const fs::path folder = fresh("untrained_slow");
  UntrainedOptions options = small();
  options.hop_ms = 40;
  write_untrained_hubert(folder, options);
  const auto upstream = open(folder);
  EXPECT_EQ(upstream->spec().taps[0].hop_samples, 640);
  EXPECT_EQ(upstream->frames(0, 16000), 24);
  options.hop_ms = 50;
  EXPECT_THAT([&] { write_untrained_hubert(fresh("untrained_odd"), options); }, testing::ThrowsMessage<ConfigError>(testing::HasSubstr("hop_ms is 50")));
}

TEST(Untrained, LoadsAsAHubertOfTheSizesAskedFor) {
  const fs::path folder = fresh("untrained");
  write_untrained_hubert(folder, small());
  const auto upstream = open(folder);
  EXPECT_THAT(upstream->default_taps(), testing::ElementsAre("h0", "h1", "h2"));
  EXPECT_EQ(upstream->spec().taps[0].width, 32);
  EXPECT_THAT(read_file(folder / "README.md"), testing::HasSubstr("UNTRAINED"));
  const at::Tensor wave = at::sin(at::arange(16000, at::kFloat) / 9) * at::cos(at::arange(16000, at::kFloat) / 700);
  for (const at::Tensor& state : upstream->forward(wave, {0, 1, 2})) {
    EXPECT_EQ(state.sizes(), (std::vector<std::int64_t>{49, 32}));
    const double spread_over_time = state.std(0).mean().item<double>();
    EXPECT_GT(spread_over_time, 0.1) << "the states must tell frames apart";
    EXPECT_LT(spread_over_time, 2.0);
  }
}

TEST(Untrained, FollowsFromItsSeed) {
  const fs::path one = fresh("one"), two = fresh("two"), other = fresh("other");
  UntrainedOptions options = small();
  write_untrained_hubert(one, options);
  write_untrained_hubert(two, options);
  options.seed = 1;
  write_untrained_hubert(other, options);
  EXPECT_EQ(open(one)->fingerprint(), open(two)->fingerprint());
  EXPECT_NE(open(one)->fingerprint(), open(other)->fingerprint());
  EXPECT_EQ(read_file(one / "model.safetensors"), read_file(two / "model.safetensors"));
}

TEST(Untrained, LeavesAFolderThatHoldsSomethingAlone) {
  const fs::path folder = fresh("full");
  write_file_atomically(folder / "config.json", "{}");
  EXPECT_THAT(error_of<ConfigError>([&] { write_untrained_hubert(folder, small()); }),
              testing::HasSubstr("the folder is not empty"));
}

TEST(Untrained, RefusesSizesThatDoNotFit) {
  UntrainedOptions options = small();
  options.heads = 5;
  EXPECT_THAT(error_of<ConfigError>([&] { write_untrained_hubert(fresh("unfit"), options); }),
              testing::HasSubstr("hidden_size 32 is no multiple of num_attention_heads 5"));
}

}  // namespace
}  // namespace strata

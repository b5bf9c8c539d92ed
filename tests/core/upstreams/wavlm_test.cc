#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/upstreams/transformer_layer.h"
#include "tests/core/upstreams/model_folder.h"
#include "tests/errors.h"

namespace strata {
namespace {

TEST(WavLm, PutsDistancesIntoBuckets) {
  for (const auto& [distance, bucket] : {std::pair{0, 0},
                                         {1, 161},
                                         {-1, 1},
                                         {79, 239},
                                         {80, 240},
                                         {82, 240},
                                         {100, 247},
                                         {159, 263},
                                         {160, 264},
                                         {300, 285},
                                         {799, 319},
                                         {800, 319},
                                         {20000, 319},
                                         {-80, 80}}) {
    EXPECT_EQ(relative_bucket(distance, 320, 800), bucket) << distance;
  }
  for (int r = 1; r < 1000; ++r) EXPECT_EQ(relative_bucket(r, 320, 800) - relative_bucket(-r, 320, 800), 160);
}

TEST(WavLm, PositionsDependOnKeyMinusQuery) {
  EncoderConfig config;
  config.num_buckets = 8;
  config.max_bucket_distance = 16;
  config.num_attention_heads = 2;
  const at::Tensor embedding = at::arange(16, at::kFloat).view({8, 2});
  const RelativePositions positions(config, WeightReader({{"weight", embedding}}, "here", at::kFloat));
  const at::Tensor p = positions(5);
  ASSERT_EQ(p.sizes(), (std::vector<std::int64_t>{2, 9}));
  for (int distance = -4; distance <= 4; ++distance) {
    EXPECT_EQ(p[1][4 + distance].item<float>(), embedding[relative_bucket(distance, 8, 16)][1].item<float>());
  }
}

TEST(WavLm, RefusesATableOfAnotherSize) {
  ModelFolder folder("wavlm-base-like");
  folder.change_json("config.json", [](Json& config) { config["num_buckets"] = 64; });
  EXPECT_EQ(folder.shorten(error_of<ConfigError>([&] { folder.open(); })),
            ": weight encoder.layers.0.attention.rel_attn_embed.weight: expected [64, 4] floating point, found [32, 4] "
            "Float");
}

}  // namespace
}  // namespace strata

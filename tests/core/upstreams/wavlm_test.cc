#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
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

/// Normal values with this deviation, from the seed.
at::Tensor random_values(const std::vector<std::int64_t>& shape, double deviation, std::uint64_t seed) {
  RandomStream random({seed});
  at::Tensor values = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < values.numel(); ++i) values.mutable_data_ptr<double>()[i] = deviation * random.normal();
  return values;
}

// Frames of two whole blocks of queries and a part, against all pairs of frames at once, by the formula.
TEST(WavLm, GatedAttentionInBlocksIsThatOfAllPairs) {
  static constexpr std::int64_t kFrames = 600, kWidth = 64, kHeads = 4, kInner = 96, kPart = kWidth / kHeads;
  EncoderConfig config;
  config.hidden_size = kWidth;
  config.num_attention_heads = kHeads;
  config.intermediate_size = kInner;
  config.num_buckets = 320;
  config.max_bucket_distance = 800;
  NamedTensors w;
  const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape, double deviation) {
    return w[name] = random_values(shape, deviation, w.size());
  };
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    add(name + ".weight", {out, in}, 1.5 / std::sqrt(in));
    add(name + ".bias", {out}, 0.2);
    return [&w, name](const at::Tensor& x) { return at::linear(x, w.at(name + ".weight"), w.at(name + ".bias")); };
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {kWidth}, 1);
    add(name + ".bias", {kWidth}, 0.2);
    return [&w, name](const at::Tensor& x) {
      return at::layer_norm(x, {kWidth}, w.at(name + ".weight"), w.at(name + ".bias"), 1e-5);
    };
  };
  const auto query = linear("attention.q_proj", kWidth, kWidth), key = linear("attention.k_proj", kWidth, kWidth),
             value = linear("attention.v_proj", kWidth, kWidth), out = linear("attention.out_proj", kWidth, kWidth);
  const auto gates = linear("attention.gru_rel_pos_linear", kPart, 8);
  const auto inner = linear("feed_forward.intermediate_dense", kWidth, kInner),
             outer = linear("feed_forward.output_dense", kInner, kWidth);
  const auto first_norm = norm("layer_norm"), second_norm = norm("final_layer_norm");
  const at::Tensor constant = add("attention.gru_rel_pos_const", {1, kHeads, 1, 1}, 1).view({kHeads, 1});
  const at::Tensor table = random_values({config.num_buckets, kHeads}, 1, 99);
  const at::Tensor x = random_values({kFrames, kWidth}, 1, 100);

  at::Tensor bucket = at::empty({kFrames, kFrames}, at::kLong);
  for (std::int64_t i = 0; i < kFrames; ++i) {
    for (std::int64_t j = 0; j < kFrames; ++j) {
      bucket.mutable_data_ptr<std::int64_t>()[i * kFrames + j] =
          relative_bucket(j - i, config.num_buckets, config.max_bucket_distance);
    }
  }
  const at::Tensor bias = table.index_select(0, bucket.view(-1)).view({kFrames, kFrames, kHeads}).permute({2, 0, 1});
  const auto heads = [&](const at::Tensor& y) { return y.view({kFrames, kHeads, kPart}).transpose(0, 1); };
  const at::Tensor z = gates(heads(x)).view({kHeads, kFrames, 2, 4}).sum(-1).sigmoid();
  const at::Tensor gate = z.select(2, 0) * (z.select(2, 1) * constant - 1) + 2;  // [heads, queries]
  const at::Tensor scores = heads(query(x)).matmul(heads(key(x)).transpose(1, 2)) / std::sqrt(kPart);
  const at::Tensor attended = (scores + gate.unsqueeze(2) * bias).softmax(-1).matmul(heads(value(x)));
  const at::Tensor h = first_norm(x + out(attended.transpose(0, 1).reshape({kFrames, kWidth})));
  const at::Tensor want = second_norm(h + outer(at::gelu(inner(h))));

  const c10::NoGradGuard frozen;
  for (const auto& [dtype, allowed] : {std::pair{at::kDouble, 1e-12}, {at::kFloat, 5e-6}}) {
    const TransformerLayer layer(config, WeightReader(w, "here", dtype));
    const RelativePositions positions(config, WeightReader({{"weight", table}}, "here", dtype));
    const at::Tensor got = layer(x.to(dtype), positions(kFrames), {}, nullptr).to(at::kDouble);
    EXPECT_LE((got - want).abs().max().item<double>(), allowed * want.abs().max().item<double>()) << dtype;
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

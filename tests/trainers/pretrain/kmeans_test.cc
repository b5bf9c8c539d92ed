#include "trainers/pretrain/kmeans.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/base/random.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// Normal clouds around planted centres, `rows` a block; a rank has every world-size-th block.
struct Planted {
  static constexpr std::int64_t kClusters = 12, kWidth = 5, kBlocks = 7;

  Planted(double offset, std::int64_t rows, double spread, const Communicator& ranks) {
    RandomStream random({3});
    centres = at::empty({kClusters, kWidth}, at::kFloat);
    for (std::int64_t i = 0; i < centres.numel(); ++i)
      centres.mutable_data_ptr<float>()[i] = static_cast<float>(offset + 10 * random.normal());
    blocks.width = kWidth;
    for (std::int64_t b = 0; b < kBlocks; ++b) {
      at::Tensor frames = at::empty({rows + b, kWidth}, at::kFloat);
      float* out = frames.mutable_data_ptr<float>();
      for (std::int64_t t = 0; t < rows + b; ++t) {
        const float* centre = centres.const_data_ptr<float>() + random.below(kClusters) * kWidth;
        for (std::int64_t d = 0; d < kWidth; ++d)
          out[t * kWidth + d] = centre[d] + static_cast<float>(spread * random.normal());
      }
      blocks.rows.push_back(rows + b);
      blocks.frames.push_back(b % ranks.size() == ranks.rank() ? frames : at::Tensor());
    }
  }

  FrameBlocks blocks;
  at::Tensor centres;
};

/// The largest distance from a planted centre to the nearest one found.
double worst_miss(const at::Tensor& centres, const at::Tensor& found) {
  double worst = 0;
  for (std::int64_t k = 0; k < centres.size(0); ++k) {
    worst = std::max(worst, (found - centres[k]).square().sum(1).min().item<double>());
  }
  return std::sqrt(worst);
}

std::string bits(const at::Tensor& tensor) {
  std::string text(tensor.nbytes(), '\0');
  std::memcpy(text.data(), tensor.contiguous().const_data_ptr(), text.size());
  return text;
}

TEST(KMeans, RecoversPlantedClusters) {
  const Communicator world = Communicator::world();
  for (const char* method : {"full", "mini_batch"}) {
    KMeansOptions options;
    options.method = method;
    options.batch_frames = 600;
    Planted planted(0, 300, 0.1, world);
    const KMeansResult result = fit_kmeans(planted.blocks, Planted::kClusters, options, 1, world);
    EXPECT_LT(worst_miss(planted.centres, result.centroids), 0.06) << method;
    EXPECT_NEAR(result.inertia, 5 * 0.01, 0.005) << method;
    EXPECT_EQ(result.empty, 0);
    EXPECT_EQ(result.start_inertias.size(), 3U);
    EXPECT_EQ(*std::min_element(result.start_inertias.begin(), result.start_inertias.end()), result.inertia);
  }
}

TEST(KMeans, IsTheSameAtAnyNumberOfRanksBitForBit) {
  const Communicator world = Communicator::world();
  const Communicator alone = world.split(world.rank());
  for (const char* method : {"full", "mini_batch"}) {
    KMeansOptions options;
    options.method = method;
    options.batch_frames = 100;
    options.starts = 2;
    // Values like 0.1 that no grid holds, far from the origin, in clouds that overlap: many rows change their cluster.
    Planted ours(100.1, 200, 6, world), whole(100.1, 200, 6, alone);
    const KMeansResult together = fit_kmeans(ours.blocks, 20, options, 4, world);
    const KMeansResult by_itself = fit_kmeans(whole.blocks, 20, options, 4, alone);
    EXPECT_TRUE(bits(together.centroids) == bits(by_itself.centroids)) << method;
    EXPECT_EQ(together.start_inertias, by_itself.start_inertias) << method;
    EXPECT_EQ(together.iterations, by_itself.iterations);
    EXPECT_NE(together.start_inertias[0], together.start_inertias[1]);
  }
}

TEST(KMeans, WorkedByHand) {
  const Communicator world = Communicator::world();
  FrameBlocks blocks;
  blocks.width = 1;
  blocks.rows = {5};
  blocks.frames = {world.rank() == 0 ? at::tensor({0.0f, 1.0f, 10.0f, 11.0f, 12.0f}).view({5, 1}) : at::Tensor()};
  const KMeansResult result = fit_kmeans(blocks, 2, {}, 0, world);
  const float a = result.centroids[0].item<float>(), b = result.centroids[1].item<float>();
  EXPECT_FLOAT_EQ(std::min(a, b), 0.5f);
  EXPECT_FLOAT_EQ(std::max(a, b), 11.0f);
  // Of squares up to 47 in float32, whose last bit is worth 4e-6: what is left of them depends on the CPU.
  EXPECT_NEAR(result.inertia, (0.25 + 0.25 + 1 + 0 + 1) / 5, 4e-6);
  const at::Tensor labels = nearest_centroids(at::tensor({5.7f, 5.8f, -3.0f}).view({3, 1}), result.centroids);
  EXPECT_EQ(labels[0].item<std::int64_t>(), a < b ? 0 : 1);
  EXPECT_EQ(labels[1].item<std::int64_t>(), a < b ? 1 : 0);
  EXPECT_EQ(labels[2].item<std::int64_t>(), a < b ? 0 : 1);
}

TEST(KMeans, EqualFramesLeaveCentroidsEmpty) {
  const Communicator world = Communicator::world();
  FrameBlocks blocks;
  blocks.width = 2;
  blocks.rows = {4};
  blocks.frames = {world.rank() == 0 ? at::full({4, 2}, 0.3f, at::kFloat) : at::Tensor()};
  const KMeansResult result = fit_kmeans(blocks, 3, {}, 0, world);
  EXPECT_EQ(result.empty, 2);
  EXPECT_EQ(result.inertia, 0);
  EXPECT_NEAR(result.centroids[2][1].item<float>(), 0.3f, 1e-6);
}

TEST(KMeans, RefusesWhatCannotBe) {
  const Communicator world = Communicator::world();
  const auto fit = [&](float value, std::int64_t clusters) {
    FrameBlocks blocks;
    blocks.width = 1;
    blocks.rows = {4};
    blocks.frames = {world.rank() == 0 ? at::full({4, 1}, value, at::kFloat) : at::Tensor()};
    fit_kmeans(blocks, clusters, {}, 0, world);
  };
  EXPECT_EQ(error_of<ConfigError>([&] { fit(1, 5); }), "k-means: 4 frames are fewer than 5 clusters");
  EXPECT_THAT(error_of<DataError>([&] { fit(std::numeric_limits<float>::quiet_NaN(), 2); }), HasSubstr("not finite"));
}

}  // namespace
}  // namespace strata

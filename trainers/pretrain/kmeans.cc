#include "trainers/pretrain/kmeans.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/min.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/round.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "core/base/error.h"
#include "core/base/random.h"

namespace strata {
namespace {

constexpr int kGridBits = 23;

/// Each row's squared distance to each centroid but for the row's own square, which changes no comparison: [T, K].
at::Tensor partial_distances(const at::Tensor& rows, const at::Tensor& centroids) {
  const at::Tensor squares = (centroids * centroids).sum(1);
  return at::addmm(squares, rows, centroids.t(), 1, -2);
}

at::Tensor squares_of(const at::Tensor& rows) { return (rows * rows).sum(1, /*keepdim=*/true); }

double sum_in_order(const at::Tensor& values) {
  const float* v = values.const_data_ptr<float>();
  double sum = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) sum += v[i];
  return sum;
}

/// Centroids as sums that are exact and so do not depend on the order of addition.
struct ClusterSums {
  explicit ClusterSums(std::int64_t clusters, std::int64_t width)
      : sums(static_cast<std::size_t>(clusters * width), 0.0), counts(static_cast<std::size_t>(clusters), 0.0) {}

  void add(const at::Tensor& rows, const at::Tensor& labels) {
    const std::int64_t width = rows.size(1);
    const float* row = rows.const_data_ptr<float>();
    const std::int64_t* label = labels.const_data_ptr<std::int64_t>();
    for (std::int64_t t = 0; t < rows.size(0); ++t, row += width) {
      double* sum = sums.data() + label[t] * width;
      for (std::int64_t d = 0; d < width; ++d) sum[d] += row[d];
      counts[static_cast<std::size_t>(label[t])] += 1;
    }
  }

  void add(const ClusterSums& other) {
    std::transform(sums.begin(), sums.end(), other.sums.begin(), sums.begin(), std::plus<>());
    std::transform(counts.begin(), counts.end(), other.counts.begin(), counts.begin(), std::plus<>());
  }

  /// The means; of a cluster without rows, what it was.
  at::Tensor means(const at::Tensor& before) const {
    const at::Tensor centroids = before.clone();
    const std::int64_t width = before.size(1);
    float* out = centroids.mutable_data_ptr<float>();
    for (std::size_t k = 0; k < counts.size(); ++k) {
      if (counts[k] == 0) continue;
      for (std::int64_t d = 0; d < width; ++d) {
        const std::size_t at = k * static_cast<std::size_t>(width) + static_cast<std::size_t>(d);
        out[at] = static_cast<float>(sums[at] / counts[k]);
      }
    }
    return centroids;
  }

  std::vector<double> sums, counts;
};

class KMeans {
 public:
  KMeans(FrameBlocks& blocks, std::int64_t clusters, const KMeansOptions& options, const Communicator& ranks)
      : blocks_(blocks), clusters_(clusters), options_(options), ranks_(ranks) {
    total_ = std::accumulate(blocks.rows.begin(), blocks.rows.end(), std::int64_t{0});
    if (total_ < clusters)
      throw ConfigError(fmt::format("k-means: {} frames are fewer than {} clusters", total_, clusters));
    put_on_grid();
  }

  KMeansResult fit(std::uint64_t seed) {
    KMeansResult best;
    best.inertia = std::numeric_limits<double>::infinity();
    std::vector<double> inertias;
    for (std::int64_t start = 0; start < options_.starts; ++start) {
      RandomStream random({seed, key_of("k-means"), static_cast<std::uint64_t>(start)});
      KMeansResult result = options_.method == "full" ? full(random) : mini_batches(random);
      inertias.push_back(result.inertia);
      if (result.inertia < best.inertia) best = std::move(result);
    }
    best.start_inertias = std::move(inertias);
    best.centroids = best.centroids + mean_;
    return best;
  }

 private:
  /// Rounds all values to the grid and takes their mean off.
  void put_on_grid() {
    std::vector<std::int64_t> exponent = {std::numeric_limits<int>::min()}, broken = {0};
    for (const at::Tensor& rows : blocks_.frames) {
      if (!rows.defined() || rows.numel() == 0) continue;
      const float largest = at::abs(rows).max().item<float>();
      if (!std::isfinite(largest)) broken[0] = 1;
      exponent[0] =
          std::max<std::int64_t>(exponent[0], largest > 0 ? std::ilogb(largest) + 1 : std::numeric_limits<int>::min());
    }
    ranks_.all_reduce_max(std::span(broken));
    ranks_.all_reduce_max(std::span(exponent));
    if (broken[0] != 0) throw DataError("k-means: a feature is not finite");
    const double step = std::ldexp(1.0, static_cast<int>(std::max<std::int64_t>(exponent[0], -60)) - kGridBits);
    const auto rounded = [step](const at::Tensor& x) { return at::round(x * (1 / step)) * step; };

    ClusterSums all(1, blocks_.width);
    for (at::Tensor& rows : blocks_.frames) {
      if (!rows.defined()) continue;
      rows = rounded(rows).contiguous();
      all.add(rows, at::zeros({rows.size(0)}, at::kLong));
    }
    reduce(all);
    mean_ = rounded(all.means(at::zeros({1, blocks_.width}, at::kFloat)));
    for (at::Tensor& rows : blocks_.frames) {
      if (rows.defined()) rows = (rows - mean_).contiguous();
    }
  }

  void reduce(ClusterSums& sums) const {
    ranks_.all_reduce_sum(std::span(sums.sums));
    ranks_.all_reduce_sum(std::span(sums.counts));
  }

  /// Labels the rows of the blocks in `chosen`, sums them by cluster and, block by block, their distances.
  ///   returns  sum of the squared distances
  double assign(const at::Tensor& centroids, const std::vector<std::size_t>& chosen, ClusterSums& sums) const {
    std::vector<double> distances(chosen.size(), 0.0);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const at::Tensor& rows = blocks_.frames[chosen[i]];
      if (!rows.defined()) continue;
      const auto [nearest, labels] = at::min(partial_distances(rows, centroids), 1);
      distances[i] = sum_in_order((nearest + squares_of(rows).squeeze(1)).clamp_min(0).contiguous());
      sums.add(rows, labels.contiguous());
    }
    reduce(sums);
    ranks_.all_reduce_sum(std::span(distances));  // each is of one rank: nothing is rounded
    return std::accumulate(distances.begin(), distances.end(), 0.0);
  }

  std::vector<std::size_t> all_blocks() const {
    std::vector<std::size_t> all(blocks_.rows.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }

  KMeansResult full(RandomStream& random) const {
    KMeansResult result;
    result.centroids = plus_plus(all_blocks(), random);
    double before = std::numeric_limits<double>::infinity();
    for (;;) {
      ClusterSums sums(clusters_, blocks_.width);
      const double inertia = assign(result.centroids, all_blocks(), sums);
      result.inertia = inertia / static_cast<double>(total_);
      result.empty = std::count(sums.counts.begin(), sums.counts.end(), 0.0);
      if (result.iterations == options_.iterations || inertia >= (1 - options_.tolerance) * before) return result;
      before = inertia;
      result.centroids = sums.means(result.centroids);
      result.iterations += 1;
    }
  }

  KMeansResult mini_batches(RandomStream& random) const {
    KMeansResult result;
    // As many frames to start from as three batches have, and enough for the clusters.
    result.centroids = plus_plus(draw_blocks(std::max(3 * options_.batch_frames, 10 * clusters_), random), random);
    ClusterSums seen(clusters_, blocks_.width);
    for (; result.iterations < options_.iterations; ++result.iterations) {
      ClusterSums sums(clusters_, blocks_.width);
      assign(result.centroids, draw_blocks(options_.batch_frames, random), sums);
      seen.add(sums);  // the mean of all that a centroid was given: a rate of 1 / count
      result.centroids = seen.means(result.centroids);
    }
    ClusterSums sums(clusters_, blocks_.width);
    result.inertia = assign(result.centroids, all_blocks(), sums) / static_cast<double>(total_);
    result.empty = std::count(sums.counts.begin(), sums.counts.end(), 0.0);
    return result;
  }

  /// Different blocks, in a random order, until they have `rows` rows.
  std::vector<std::size_t> draw_blocks(std::int64_t rows, RandomStream& random) const {
    std::vector<std::size_t> order = all_blocks();
    random.shuffle(order);
    std::size_t count = 0;
    for (std::int64_t sum = 0; count < order.size() && sum < rows; ++count) sum += blocks_.rows[order[count]];
    order.resize(count);
    return order;
  }

  /// Row `row` of block `block`, on every rank.
  at::Tensor row_of(std::size_t block, std::int64_t row) const {
    std::vector<float> values(static_cast<std::size_t>(blocks_.width), 0.0f);
    if (const at::Tensor& rows = blocks_.frames[block]; rows.defined()) {
      const float* from = rows.const_data_ptr<float>() + row * blocks_.width;
      std::copy(from, from + blocks_.width, values.begin());
    }
    ranks_.all_reduce_sum(std::span(values));
    const at::Tensor tensor = at::empty({1, blocks_.width}, at::kFloat);
    std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<float>());
    return tensor;
  }

  at::Tensor uniform_row(const std::vector<std::size_t>& chosen, RandomStream& random) const {
    std::int64_t rows = 0;
    for (const std::size_t b : chosen) rows += blocks_.rows[b];
    auto at = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(rows)));
    for (const std::size_t b : chosen) {
      if (at < blocks_.rows[b]) return row_of(b, at);
      at -= blocks_.rows[b];
    }
    throw InternalError("a row past the end");
  }

  /// A row drawn with the probability of its squared distance to the nearest centroid so far.
  ///   nearest  of the rows of each chosen block, where it is ours
  ///   sums     of `nearest` of each chosen block, on every rank
  at::Tensor far_row(const std::vector<std::size_t>& chosen, const std::vector<at::Tensor>& nearest,
                     const std::vector<double>& sums, RandomStream& random) const {
    const double total = std::accumulate(sums.begin(), sums.end(), 0.0);
    if (!(total > 0)) return uniform_row(chosen, random);  // every row is a centroid already
    double at = random.uniform() * total;
    std::size_t i = 0;
    while (i + 1 < chosen.size() && at >= sums[i]) at -= sums[i++];
    while (i > 0 && sums[i] == 0) --i;  // rounding led past the last that has any
    std::vector<std::int64_t> row = {0};
    if (nearest[i].defined()) {
      const float* distance = nearest[i].const_data_ptr<float>();
      for (std::int64_t t = 0; t < nearest[i].numel(); ++t) {
        if (distance[t] > 0) row[0] = t;
        at -= distance[t];
        if (at < 0) break;
      }
    }
    ranks_.all_reduce_max(std::span(row));
    return row_of(chosen[i], row[0]);
  }

  at::Tensor plus_plus(const std::vector<std::size_t>& chosen, RandomStream& random) const {
    const at::Tensor centroids = at::empty({clusters_, blocks_.width}, at::kFloat);
    const auto candidates = 2 + static_cast<std::int64_t>(std::log(static_cast<double>(clusters_)));
    centroids.narrow(0, 0, 1).copy_(uniform_row(chosen, random));
    std::vector<at::Tensor> squares(chosen.size()), nearest(chosen.size());
    std::vector<double> sums(chosen.size(), 0.0);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const at::Tensor& rows = blocks_.frames[chosen[i]];
      if (!rows.defined()) continue;
      squares[i] = squares_of(rows);
      nearest[i] =
          (partial_distances(rows, centroids.narrow(0, 0, 1)) + squares[i]).clamp_min(0).squeeze(1).contiguous();
      sums[i] = sum_in_order(nearest[i]);
    }
    ranks_.all_reduce_sum(std::span(sums));
    for (std::int64_t k = 1; k < clusters_; ++k) {
      const at::Tensor tried = at::empty({candidates, blocks_.width}, at::kFloat);
      for (std::int64_t c = 0; c < candidates; ++c) tried.narrow(0, c, 1).copy_(far_row(chosen, nearest, sums, random));
      centroids.narrow(0, k, 1).copy_(tried.narrow(0, take_best(chosen, squares, tried, nearest, sums), 1));
    }
    return centroids;
  }

  /// Which of the candidates leaves the least distances; `nearest` and `sums` become those with it.
  std::int64_t take_best(const std::vector<std::size_t>& chosen, const std::vector<at::Tensor>& squares,
                         const at::Tensor& tried, std::vector<at::Tensor>& nearest, std::vector<double>& sums) const {
    const auto candidates = static_cast<std::size_t>(tried.size(0));
    std::vector<double> with(chosen.size() * candidates, 0.0);
    std::vector<at::Tensor> left(chosen.size());  // [candidates, T]
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const at::Tensor& rows = blocks_.frames[chosen[i]];
      if (!rows.defined()) continue;
      const at::Tensor distances = (partial_distances(rows, tried) + squares[i]).clamp_min(0).t();
      left[i] = at::minimum(distances, nearest[i]).contiguous();
      for (std::size_t c = 0; c < candidates; ++c)
        with[i * candidates + c] = sum_in_order(left[i][static_cast<std::int64_t>(c)]);
    }
    ranks_.all_reduce_sum(std::span(with));
    std::vector<double> totals(candidates, 0.0);
    for (std::size_t at = 0; at < with.size(); ++at) totals[at % candidates] += with[at];
    const auto best = std::min_element(totals.begin(), totals.end()) - totals.begin();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      sums[i] = with[i * candidates + static_cast<std::size_t>(best)];
      if (left[i].defined()) nearest[i] = left[i][best].contiguous();
    }
    return best;
  }

  FrameBlocks& blocks_;
  const std::int64_t clusters_;
  const KMeansOptions& options_;
  const Communicator& ranks_;
  std::int64_t total_ = 0;
  at::Tensor mean_;  // [1, D], on the grid
};

}  // namespace

KMeansResult fit_kmeans(FrameBlocks& blocks, std::int64_t clusters, const KMeansOptions& options, std::uint64_t seed,
                        const Communicator& ranks) {
  return KMeans(blocks, clusters, options, ranks).fit(seed);
}

at::Tensor nearest_centroids(const at::Tensor& frames, const at::Tensor& centroids) {
  const at::Tensor shift = centroids.mean(0, /*keepdim=*/true);  // distances from afar would be lost in rounding
  return std::get<1>(at::min(partial_distances(frames - shift, centroids - shift), 1)).contiguous();
}

}  // namespace strata

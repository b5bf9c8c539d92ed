#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/fields.h"
#include "distributed/mpi.h"

namespace strata {

struct KMeansOptions {
  std::string method = "full";
  std::int64_t starts = 3;
  std::int64_t iterations = 100;
  double tolerance = 1e-4;
  std::int64_t batch_frames = 10000;

  void fields(Fields& f) {
    f.text("method", method, "Lloyd's iterations over all frames, or each over a mini-batch (Sculley 2010)",
           {"full", "mini_batch"});
    f.number("starts", starts, "k-means++ starts, the best of which is taken", between(1, 1000));
    f.number("iterations", iterations, "of each start, at most", between(1, 1000000));
    f.number("tolerance", tolerance, "full: ends when the inertia falls by less than this part of it", between(0, 1));
    f.number("batch_frames", batch_frames, "mini_batch: frames of an iteration, at least", at_least(1));
  }
};

/// Frames spread over ranks in blocks: what is computed together. They are cut without regard to the ranks, so that
/// each block gives the same bits wherever it is.
struct FrameBlocks {
  std::vector<std::int64_t> rows;  // of every block, equal on all ranks
  std::vector<at::Tensor> frames;  // of every block: [rows, D] float32; undefined where another rank has it
  std::int64_t width = 0;          // D
};

struct KMeansResult {
  at::Tensor centroids;                // [K, D] float32, equal on all ranks
  double inertia = 0;                  // mean over the frames of the squared distance to the nearest centroid
  std::vector<double> start_inertias;  // of each start
  std::int64_t iterations = 0;         // of the best
  std::int64_t empty = 0;              // centroids that no frame is nearest to
};

/// k-means by greedy k-means++ (Arthur, Vassilvitskii 2007; 2 + ln K candidates a step) and Lloyd's iterations or
/// mini-batches. A centroid that loses all its frames stays where it is.
///
/// The result is the same, bit for bit, at any number of ranks: values are first rounded to a grid of 2^-23 of the
/// largest, so that sums of up to 2^29 of them are exact in float64 in any order; sums over rows that are not on it are
/// taken per block and added in the order of the blocks.
///   blocks  each on one rank; changed (centred, on the grid)
/// Collective. Throws ConfigError if there are fewer frames than clusters, DataError if a value is not finite.
KMeansResult fit_kmeans(FrameBlocks& blocks, std::int64_t clusters, const KMeansOptions& options, std::uint64_t seed,
                        const Communicator& ranks);

/// The nearest centroid of each frame, the lower of equals: [T] int64.
///   frames     [T, D] float32
///   centroids  [K, D] float32
at::Tensor nearest_centroids(const at::Tensor& frames, const at::Tensor& centroids);

}  // namespace strata

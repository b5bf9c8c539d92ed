#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor/feature_spec.h"
#include "data/batches/alignment.h"
#include "data/store/corpus_features.h"

namespace strata {

/// Features of some utterances, ready for a model.
struct FeatureBatch {
  std::vector<at::Tensor>
      features;  // per upstream: [B, T, L, D] as stored (int8: float32) or float32, zero past lengths[b]
  at::Tensor lengths;                // [B] int64, 1 <= lengths[b] <= T
};

/// Where a trial's batches come from. Thread-safe.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Throws DataError if an utterance has no features, or no frame of them.
  virtual FeatureBatch load(const std::vector<std::string>& ids) const = 0;
  /// Has what a later `load` of these reads come from disk meanwhile. Returns at once; changes no result.
  virtual void prefetch(const std::vector<std::string>& ids) const = 0;
};

/// What a loader reads of one upstream.
struct LoaderSource {
  const CorpusFeatures* features = nullptr;
  std::vector<Tap> taps;                // that `features` was opened for
  std::vector<std::size_t> chosen;      // indices into taps, in the order of the layers
};

/// Reads batches from stores. Every tap of every upstream is brought to one frame rate, then all are cut to the shortest;
/// see Alignment. Thread-safe.
class FeatureLoader : public BatchSource {
 public:
  ///   pinned  features lie in page-locked memory, from which a GPU takes them while the CPU goes on; needs a GPU
  /// Throws ConfigError if widths within an upstream differ or rates do not fit.
  explicit FeatureLoader(std::vector<LoaderSource> sources, const AlignmentRule& rule = {}, bool pinned = false);

  /// Features come in the type they are stored in; in float32 where that is int8 or the alignment computes.
  FeatureBatch load(const std::vector<std::string>& ids) const override;
  void prefetch(const std::vector<std::string>& ids) const override;

  /// Frames of an utterance after alignment.
  std::int64_t frames(const std::string& id) const;

  const std::vector<LoaderSource>& sources() const { return sources_; }
  const Alignment& alignment() const { return alignment_; }

 private:
  std::vector<LoaderSource> sources_;
  Alignment alignment_;
  bool pinned_;
};

/// The taps an interface reads: those named, or (names empty) the listed ones. Throws ConfigError naming an unknown tap.
std::vector<std::size_t> choose_taps(const std::vector<Tap>& taps, const std::vector<std::string>& names);

}  // namespace strata

#pragma once

#include <string>
#include <vector>

#include "core/pretraining/objective.h"
#include "core/pretraining/span_mask.h"
#include "core/pretraining/unit_loss.h"
#include "core/upstreams/encoder_weights.h"

namespace strata {

/// What masked prediction of units is set by, in HuBERT and MR-HuBERT alike; defaults as published.
struct UnitOptions {
  std::int64_t classes = 100;
  std::int64_t final_dim = 256;
  double temperature = 0.1;
  double unmasked_weight = 0.0;
  double feature_penalty = 10.0;
  SpanMask mask;

  void fields(Fields& f) {
    f.number("classes", classes, "units, the centres of k-means", at_least(2));
    f.number("final_dim", final_dim, "width in which frames and units are compared", at_least(1));
    f.number("temperature", temperature, "that cosines are divided by", Range{1e-6});
    f.number("unmasked_weight", unmasked_weight, "of the loss over frames that are not masked", at_least(0));
    f.number("feature_penalty", feature_penalty, "of the mean square of the stem's output", at_least(0));
    mask.fields(f);
  }
};

/// The masked and, where they count, the other frames of an utterance, those without a unit left out.
struct PredictedFrames {
  std::vector<std::int64_t> masked;     // all that is masked in the input
  at::Tensor units;                     // [T or fewer] int64
  std::vector<std::int64_t> predicted;  // masked frames that have a unit
  std::vector<std::int64_t> others;     // unmasked frames that have one; empty if they do not count
};

/// Draws the mask of the utterance. Throws DataError as Objective::forward promises.
PredictedFrames predicted_frames(const UnitOptions& options, std::int64_t frames, const PretrainUtterance& utterance,
                                 const Pass& pass);

/// The same at a rate slower by a whole factor: its frame t stands where frame `factor` t stands, and is masked and has
/// the unit that that one has (fairseq takes every `factor`-th label).
PredictedFrames at_slower_rate(const PredictedFrames& frames, std::int64_t factor);

/// One linear and one table of unit embeddings, by the names of its parameters.
class UnitHead {
 public:
  UnitHead(const UnitOptions& options, std::string projection, std::string embeddings);

  std::vector<WeightSpec> weights(std::int64_t width) const;

  /// The loss of the rows `frames` of `states` [T, D], whose units are those at `units`.
  UnitLoss loss(const Parameters& parameters, const at::Tensor& states, const std::vector<std::int64_t>& frames,
                const at::Tensor& units) const;

 private:
  UnitOptions options_;
  std::string projection_, embeddings_;
};

/// The loss of the masked frames, plus `unmasked_weight` times that of the others; the accuracy is of the masked.
ObjectiveSums masked_prediction(const UnitHead& head, const UnitOptions& options, const Parameters& parameters,
                                const at::Tensor& states, const PredictedFrames& frames);

/// The penalty of the stem's output [T, C], per term of the loss.
at::Tensor feature_penalty(const at::Tensor& frames, double weight);

}  // namespace strata

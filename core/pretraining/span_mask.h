#pragma once

#include <cstdint>
#include <vector>

#include "core/base/random.h"
#include "core/config/fields.h"

namespace strata {

/// Which frames are masked, as HuBERT and data2vec do it (arXiv:2106.07447, section III-B; fairseq's
/// `compute_mask_indices` with static lengths): floor(probability * T / length + u) spans, u uniform in [0, 1), but not
/// fewer than `fewest`, that start at different frames and may overlap.
struct SpanMask {
  double probability = 0.8;
  std::int64_t length = 10;
  std::int64_t fewest = 2;

  void fields(Fields& f) {
    f.number("mask_probability", probability, "share of the frames that are masked, if spans did not overlap",
             between(0, 1));
    f.number("mask_length", length, "frames of a masked span", at_least(1));
    f.number("mask_spans", fewest, "masked spans of an utterance at least", at_least(1));
  }

  /// The masked frames of an utterance of `frames`, at least one, ascending. Spans start anywhere from which all of
  /// them fits; in utterances too short for that, at the first frames, and are cut.
  std::vector<std::int64_t> draw(std::int64_t frames, RandomStream& random) const;
};

}  // namespace strata

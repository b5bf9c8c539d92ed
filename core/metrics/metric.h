#pragma once

#include <cstdint>

namespace strata {

/// A metric on its way: what it sums and over what, so that ranks can add theirs. Each utterance is counted once.
struct SumCount {
  double sum = 0.0;
  double count = 0.0;

  SumCount& operator+=(const SumCount& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
  double value() const { return sum / count; }
};

}  // namespace strata

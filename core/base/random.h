#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace strata {

/// A stream of random bits that is the same on every machine and library: SplitMix64 (Steele, Lea, Flood 2014).
/// All randomness of Strata starts from a key made of what it may depend on: (seed, trial, step, utterance), never the rank.
class RandomStream {
 public:
  /// Mixes the parts of the key, in order, into the starting state.
  explicit RandomStream(std::initializer_list<std::uint64_t> key);

  std::uint64_t next();

  /// Uniform in [0, bound), without bias. bound > 0.
  std::uint64_t below(std::uint64_t bound);

  /// Uniform in [0, 1), on a grid of 2^-53.
  double uniform();

  /// Normal with mean 0 and variance 1 (Box-Muller).
  double normal();

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t state_ = 0;
};

/// A part of a key from a name (a task, a trial id): XXH3-64 of its bytes.
std::uint64_t key_of(std::string_view name);

}  // namespace strata

#include <cmath>

#include "data/audio/effects/effect.h"

namespace strata {
namespace {

struct GainOptions {
  double db = 0;
  void fields(Fields& f) { f.number("db", db, "decibels; SUPERB's KS, QbE and ASV use -3", between(-120, 120)); }
};

/// x * 10^(db / 20), without clipping.
class Gain : public Effect {
 public:
  explicit Gain(GainOptions options) : factor_(static_cast<float>(std::pow(10.0, options.db / 20))) {}

  std::vector<float> apply(std::vector<float> samples) const override {
    for (float& x : samples) x *= factor_;
    return samples;
  }

 private:
  float factor_;
};

STRATA_REGISTER_EFFECT("gain", GainOptions, Gain, "louder or softer by a number of decibels");

}  // namespace
}  // namespace strata

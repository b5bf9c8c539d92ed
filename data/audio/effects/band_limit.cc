#include <utility>

#include "data/audio/audio.h"
#include "data/audio/effects/effect.h"
#include "data/audio/resample.h"

namespace strata {
namespace {

struct BandLimitOptions {
  std::int64_t rate_hz = 8000;
  void fields(Fields& f) {
    f.number("rate_hz", rate_hz, "the rate whose band is kept: half of it in Hz", between(1000, kSampleRateHz));
  }
};

/// Down to rate_hz and back, so that recordings made at that rate and better ones have the same band. Without it,
/// telephone speech and studio speech are told apart by what is above 4 kHz, whatever the task. The length is kept.
class BandLimit : public Effect {
 public:
  explicit BandLimit(BandLimitOptions options) : rate_hz_(options.rate_hz) {}

  std::vector<float> apply(std::vector<float> samples) const override {
    const std::size_t length = samples.size();
    std::vector<float> low = resample(std::move(samples), kSampleRateHz, rate_hz_);
    std::vector<float> limited = resample(std::move(low), rate_hz_, kSampleRateHz);
    limited.resize(length);  // two roundings may differ from the length by a sample or two
    return limited;
  }

 private:
  std::int64_t rate_hz_;
};

STRATA_REGISTER_EFFECT("band_limit", BandLimitOptions, BandLimit, "keep the band of a lower sampling rate only");

}  // namespace
}  // namespace strata

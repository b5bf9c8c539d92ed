#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/upstreams/upstream.h"
#include "tests/errors.h"

namespace strata {
namespace {

std::unique_ptr<Upstream> open(const Json& options) {
  return open_upstream("fbank", {}, FieldReader(options, "study.json", "/upstreams/a"));
}

TEST(Fbank, DescribesItsTap) {
  const auto fbank = open(Json::object());
  EXPECT_EQ(fbank->spec(), (FeatureSpec{{{"fbank", 80, 160}}, 400}));
  EXPECT_EQ(fbank->default_taps(), std::vector<std::string>{"fbank"});
  EXPECT_EQ(open({{"deltas", true}})->spec().taps[0].width, 240);
}

TEST(Fbank, CountsItsFrames) {
  const auto fbank = open(Json::object());
  for (const auto& [samples, frames] : {std::pair{399, 0}, {400, 1}, {559, 1}, {560, 2}, {16000, 98}}) {
    EXPECT_EQ(fbank->frames(0, samples), frames) << samples;
    if (frames > 0) EXPECT_EQ(fbank->forward(at::zeros({samples}), {0})[0].size(0), frames);
  }
}

TEST(Fbank, RefusesAudioOfNoFrame) {
  EXPECT_THAT(error_of<DataError>([] { open(Json::object())->forward(at::zeros({399}), {0}); }),
              "the audio has 399 samples at 16 kHz; this upstream needs at least 400 for one frame");
  EXPECT_THAT(error_of<DataError>([] {
                open({{"cmvn", true}})->forward(at::zeros({559}), {0});
              }),
              testing::HasSubstr("needs at least 560"));
  EXPECT_THAT(error_of<ShapeError>([] {
                open(Json::object())->forward(at::zeros({1, 800}), {0});
              }),
              testing::HasSubstr("expected a wave [samples] float32 or float64, found [1, 800] Float"));
}

TEST(Fbank, RefusesOptionsItDoesNotKnow) {
  EXPECT_THAT(error_of<ConfigError>([] {
                open({{"delta", true}});
              }),
              testing::AllOf(testing::HasSubstr("study.json /upstreams/a/delta: unknown key, did you mean \"deltas\"?"),
                             testing::HasSubstr("cmvn")));
  EXPECT_THAT(error_of<ConfigError>([] {
                open({{"num_mel_bins", 2}});
              }),
              "study.json /upstreams/a/num_mel_bins: 2 is not allowed; takes an integer, 4 to 256");
}

TEST(Fbank, FingerprintFollowsTheOptions) {
  EXPECT_EQ(open(Json::object())->fingerprint(), open({{"num_mel_bins", 80}})->fingerprint());
  EXPECT_NE(open(Json::object())->fingerprint(), open({{"num_mel_bins", 40}})->fingerprint());
}

}  // namespace
}  // namespace strata

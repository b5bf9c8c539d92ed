#include "trainers/extract/stored_features.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <limits>
#include <numeric>

#include "core/base/error.h"
#include "tests/errors.h"
#include "tests/trainers/extract/fixed_upstream.h"

namespace strata {
namespace {

using hdf5::StoredType;
using testing::HasSubstr;

const std::vector<StoredType> kTypes = {StoredType::kFloat32, StoredType::kFloat16, StoredType::kBFloat16,
                                        StoredType::kInt8};

// For an odd number of frames the decoder of MR-HuBERT gives one more, which the store does not keep.
TEST(StoredFeatures, TapsOfOneRateHaveTheFramesOfTheFirst) {
  const auto upstream = open_upstream("tests/golden/upstreams/mrhubert-base-like", {"", ""},
                                      FieldReader(Json::object(), "study.json", "/upstreams/a"));
  const std::vector<Tap>& all = upstream->spec().taps;
  std::vector<std::size_t> taps(all.size());
  std::iota(taps.begin(), taps.end(), 0);
  for (const std::int64_t frames : {49, 50}) {
    const at::Tensor wave = at::sin(at::arange(400 + 320 * (frames - 1), at::kFloat) / 7);
    const auto whole = upstream->forward(wave, taps),
               stored = features_to_store(*upstream, wave, taps, StoredType::kFloat16);
    int longer = 0;
    for (std::size_t t = 0; t < taps.size(); ++t) {
      if (all[t].hop_samples == 320) EXPECT_EQ(stored[t].size(0), frames) << all[t].name;
      if (all[t].hop_samples == 640) EXPECT_EQ(stored[t].size(0), 25) << all[t].name;
      EXPECT_TRUE(stored[t].equal(whole[t].narrow(0, 0, stored[t].size(0)))) << all[t].name;
      longer += whole[t].size(0) > stored[t].size(0) ? 1 : 0;
    }
    EXPECT_EQ(longer > 0, frames == 49);
    // So it is whatever else is stored.
    const auto decoder = std::find_if(all.begin(), all.end(), [](const Tap& tap) { return tap.name == "d0.0"; });
    const auto index = static_cast<std::size_t>(decoder - all.begin());
    EXPECT_EQ(features_to_store(*upstream, wave, {index}, StoredType::kInt8)[0].size(0), frames);
  }
}

TEST(StoredFeatures, ValuesThatAreNotFiniteAreRefusedWhereverTheyAre) {
  constexpr std::int64_t kFrames = 37, kWidth = 19;
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
    for (std::int64_t place = 0; place < kFrames * kWidth; place += 13) {
      const at::Tensor values = at::zeros({kFrames, kWidth});
      values.view(-1)[place] = value;
      const FixedUpstream upstream(values);
      for (const StoredType type : kTypes) {
        EXPECT_EQ(error_of<DataError>([&] { features_to_store(upstream, at::zeros({1}), {1}, type); }),
                  "tap b (stored as " + name_of(type) + "): it has values that are not finite");
      }
    }
  }
}

TEST(StoredFeatures, ValuesBeyondTheTypeAreRefused) {
  const auto stored = [](double value, StoredType type) {
    const at::Tensor values = at::zeros({5, 3});
    values[2][1] = value;
    return features_to_store(FixedUpstream(values), at::zeros({1}), {0}, type)[0][2][1].item<double>();
  };
  for (const double sign : {1.0, -1.0}) {
    EXPECT_EQ(stored(sign * 65519, StoredType::kFloat16), sign * 65519) << "which is rounded to 65504";
    EXPECT_EQ(error_of<DataError>([&] { stored(sign * 65520, StoredType::kFloat16); }),
              "tap a: its largest value, 65520, is beyond the range of float16; store this upstream in bfloat16 or "
              "float32");
    for (const StoredType type : {StoredType::kFloat32, StoredType::kBFloat16, StoredType::kInt8})
      EXPECT_EQ(stored(sign * 65520, type), sign * 65520);
    EXPECT_THAT(error_of<DataError>([&] { stored(sign * 3.4e38, StoredType::kBFloat16); }), HasSubstr("of bfloat16"));
    EXPECT_GT(std::abs(stored(sign * 3.4e38, StoredType::kFloat32)), 3e38);
  }
}

}  // namespace
}  // namespace strata

#include "data/store/int8.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/random.h"

namespace strata {
namespace {

using testing::Each;
using testing::ElementsAre;

at::Tensor frames_of(std::vector<float> values, std::int64_t columns) {
  return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size()) / columns, columns}, at::kFloat)
      .clone();
}

std::vector<int> values_of(const Int8Frames& frames) {
  const auto* v = frames.values.const_data_ptr<std::int8_t>();
  return {v, v + frames.values.numel()};
}

std::vector<float> floats_of(const at::Tensor& x) {
  return {x.const_data_ptr<float>(), x.const_data_ptr<float>() + x.numel()};
}

TEST(Int8, RoundsToNearestEvenInStepsOfTheFramesOwn) {
  // Steps of 1 and of 0.5: halves go to the even step.
  const Int8Frames stored = to_int8(frames_of({127, 0.5, 1.5, -2.5, -63.5, 0.25, 0.75, -1.25}, 4));
  EXPECT_THAT(values_of(stored), ElementsAre(127, 0, 2, -2, -127, 0, 2, -2));
  EXPECT_THAT(floats_of(stored.scale), ElementsAre(1, 0.5));
  EXPECT_THAT(floats_of(as_read(frames_of({127, 0.5, 1.5, -2.5}, 4), hdf5::StoredType::kInt8)),
              ElementsAre(127, 0, 2, -2));
}

TEST(Int8, KeepsFramesOfZeros) {
  const Int8Frames stored = to_int8(frames_of({0, 0, -0.0f, 1, -1, 0}, 3));
  EXPECT_THAT(values_of(stored), ElementsAre(0, 0, 0, 127, -127, 0));
  EXPECT_THAT(floats_of(stored.scale), ElementsAre(0, 1.0f / 127));
}

TEST(Int8, MarksFramesThatAreNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> read =
      floats_of(as_read(frames_of({1, infinity, 2, nan, -infinity, 0, 3, 127}, 2), hdf5::StoredType::kInt8));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_TRUE(std::isnan(read[i])) << i;
  EXPECT_THAT(std::vector<float>(read.begin() + 6, read.end()), ElementsAre(3, 127));
}

TEST(Int8, LosesHalfAStepAtMostAtAnyMagnitude) {
  RandomStream random({7, 7});
  for (const double size : {1e-44, 1e-39, 1e-20, 1.0, 1e20, 3e38}) {
    std::vector<float> values;
    for (int i = 0; i < 8 * 37; ++i) values.push_back(static_cast<float>(size * (2 * random.uniform() - 1)));
    const at::Tensor frames = frames_of(values, 37);  // a width that no vector length divides
    const Int8Frames stored = to_int8(frames);
    const std::vector<float> read = floats_of(as_read(frames, hdf5::StoredType::kInt8)),
                             scale = floats_of(stored.scale);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t frame = i / 37;
      float peak = 0;
      for (std::size_t d = 0; d < 37; ++d) peak = std::max(peak, std::abs(values[frame * 37 + d]));
      EXPECT_EQ(scale[frame], peak / 127.0f);
      EXPECT_EQ(read[i], scale[frame] * static_cast<float>(values_of(stored)[i]));
      // Below float32's normal numbers the step itself is rounded.
      const double half = size < 1e-37 ? std::abs(values[i]) + 1e-43 : 0.5001 * scale[frame];
      EXPECT_NEAR(read[i], values[i], half) << size;
    }
  }
}

TEST(Int8, MayHaveNoFrames) {
  EXPECT_EQ(as_read(at::empty({0, 5}, at::kFloat), hdf5::StoredType::kInt8).sizes(), (std::vector<std::int64_t>{0, 5}));
}

TEST(Int8, OtherTypesAreReadAsTheyAre) {
  const at::Tensor frames = frames_of({0.1f, 100000, 3, 4}, 2);
  EXPECT_TRUE(as_read(frames, hdf5::StoredType::kFloat32).equal(frames));
  EXPECT_EQ(as_read(frames, hdf5::StoredType::kFloat16).scalar_type(), at::kHalf);
  EXPECT_EQ(as_read(frames, hdf5::StoredType::kBFloat16).scalar_type(), at::kBFloat16);
}

}  // namespace
}  // namespace strata

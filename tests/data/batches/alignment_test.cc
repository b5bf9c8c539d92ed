#include "data/batches/alignment.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/core/testing.h"
#include "tests/errors.h"

namespace strata {
namespace {

const Tap kFast = {"fast", 1, 160}, kMiddle = {"h0", 1, 320}, kSlow = {"slow", 1, 640};

at::Tensor frames(const std::vector<double>& values) {
  return tensor(values, {static_cast<std::int64_t>(values.size()), 1});
}

TEST(Alignment, RepeatsSlowerFramesToTheFinestRate) {
  const Alignment alignment({}, {kMiddle, kSlow});
  EXPECT_EQ(alignment.hop_samples(), 320);
  EXPECT_EQ(alignment.frames(3, kSlow), 6);
  EXPECT_EQ(alignment.frames(3, kMiddle), 3);
  expect_close(alignment.apply(frames({1, 5}), kSlow), frames({1, 1, 5, 5}));
  expect_close(alignment.apply(frames({1, 5}), kMiddle), frames({1, 5}));
  EXPECT_EQ(alignment.text(), "a frame every 320 samples, slower taps repeated, cut to the shortest");
}

TEST(Alignment, InterpolatesAboutTheMiddleOfEachFrame) {
  const Alignment alignment({0, true}, {kMiddle, kSlow});
  expect_close(alignment.apply(frames({1, 5, 3}), kSlow), frames({1, 2, 4, 4.5, 3.5, 3}));
  expect_close(alignment.apply(frames({7}), kSlow), frames({7, 7}));
  expect_close(alignment.apply(tensor({1, 10, 5, 50}, {2, 2}), kSlow), tensor({1, 10, 2, 20, 4, 40, 5, 50}, {4, 2}));
  const Alignment by_four({0, true}, {kFast, kSlow});
  expect_close(by_four.apply(frames({0, 8}), kSlow), frames({0, 0, 1, 3, 5, 7, 8, 8}));
  EXPECT_EQ(alignment.text(), "a frame every 320 samples, slower taps interpolated, cut to the shortest");
}

TEST(Alignment, AveragesFasterFramesToTheRateThatIsAskedFor) {
  const Alignment alignment({640, false}, {kFast, kMiddle, kSlow});
  expect_close(alignment.apply(frames({1, 3, 5, 9, 2}), kMiddle), frames({2, 7, 2}));  // the last group is short
  expect_close(alignment.apply(frames({1, 3, 5, 9, 2}), kFast), frames({4.5, 2}));
  expect_close(alignment.apply(frames({4}), kFast), frames({4}));
  EXPECT_EQ(alignment.frames(5, kMiddle), 3);
  EXPECT_EQ(alignment.frames(5, kFast), 2);
  EXPECT_EQ(alignment.frames(5, kSlow), 5);
  EXPECT_EQ(alignment.text(), "a frame every 640 samples, faster taps averaged, cut to the shortest");
  EXPECT_EQ(Alignment({320, false}, {kFast, kMiddle, kSlow}).text(),
            "a frame every 320 samples, slower taps repeated, faster taps averaged, cut to the shortest");
}

TEST(Alignment, IsDifferentiable) {
  const at::Tensor x = frames({1, 5, 3}).requires_grad_();
  Alignment({0, true}, {kMiddle, kSlow}).apply(x, kSlow).sum().backward();
  expect_close(x.grad(), frames({2, 2, 2}));
}

TEST(Alignment, ComputesInFloatOfHalves) {
  const Alignment alignment({640, false}, {kMiddle, kSlow});
  EXPECT_EQ(alignment.apply(frames({1, 2}).to(at::kHalf), kMiddle).scalar_type(), at::kFloat);
  EXPECT_EQ(alignment.apply(frames({1, 2}).to(at::kHalf), kSlow).scalar_type(), at::kHalf);
}

TEST(Alignment, HasOneRuleForEqualResults) {
  EXPECT_EQ(Alignment({320, false}, {kMiddle, kSlow}).rule(), AlignmentRule());
  EXPECT_EQ(Alignment({0, true}, {kMiddle, kMiddle}).rule(), AlignmentRule());
  EXPECT_EQ(Alignment({640, true}, {kMiddle, kSlow}).rule(), (AlignmentRule{640, false}));
  EXPECT_EQ(Alignment({0, true}, {kMiddle, kSlow}).rule(), (AlignmentRule{0, true}));
}

TEST(Alignment, RefusesRatiosThatAreNotWhole) {
  EXPECT_EQ(error_of<ConfigError>([] {
              Alignment({}, {kMiddle, {"odd", 1, 480}});
            }),
            "tap odd has a frame every 480 samples, all are to have one every 320: the ratio must be a whole number");
  EXPECT_EQ(error_of<ConfigError>([] {
              Alignment({480, false}, {kFast, kMiddle});
            }),
            "tap h0 has a frame every 320 samples, all are to have one every 480: the ratio must be a whole number");
}

}  // namespace
}  // namespace strata

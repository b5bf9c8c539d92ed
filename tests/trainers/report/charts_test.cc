#include "trainers/report/charts.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/trainers/report/markup.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Charts, RoundTicks) {
  EXPECT_THAT(round_ticks(0, 1000, 5), ElementsAre(0, 200, 400, 600, 800, 1000));
  EXPECT_THAT(round_ticks(61, 69.5, 5), ElementsAre(60, 62, 64, 66, 68, 70));
  const auto small = round_ticks(0.013, 0.021, 4);
  EXPECT_NEAR(small.front(), 0.012, 1e-12);
  EXPECT_NEAR(small.back(), 0.022, 1e-12);
}

TEST(Charts, Viridis) {
  EXPECT_EQ(viridis(0), "#440154");
  EXPECT_EQ(viridis(1), "#fde725");
  EXPECT_EQ(viridis(0.5), "#21908d");
  EXPECT_EQ(viridis(7), "#fde725");
}

TEST(Charts, LinesArePlacedByTheirAxes) {
  // The frame is 420 x 240 pixels from (64, 34); x covers 0 to 100 and y 0 to 50.
  const Svg svg = draw_lines({"a title", "step", "loss", {{"one & two", {}, {{0, 0}, {100, 50}}}}});
  EXPECT_THAT(svg.element(), HasSubstr("points=\"64,274 484,34\""));
  EXPECT_THAT(svg.element(), HasSubstr("one &amp; two"));
  EXPECT_EQ(markup_fault(svg.element()), "");
  EXPECT_EQ(markup_fault(svg.file()), "");
}

TEST(Charts, LogarithmicAxisCoversTheValues) {
  // 0.7 to 60: from 0.5 to 100, so 10 is at log(20) / log(200) = 0.5654 of 240 pixels.
  LineChart chart{"", "", "", {{"s", {}, {{0, 0.7}, {1, 10}, {2, 60}}}}, true};
  EXPECT_THAT(draw_lines(chart).element(), HasSubstr("274,138.3"));
  chart.series[0].mean.push_back({3, 0});  // has no place on a logarithmic axis
  EXPECT_EQ(markup_fault(draw_lines(chart).element()), "");
}

TEST(Charts, OddInputsAreDrawable) {
  for (const bool log_y : {false, true}) {
    EXPECT_EQ(markup_fault(draw_lines({"", "", "", {}, log_y}).element()), "");
    EXPECT_EQ(markup_fault(draw_lines({"", "", "", {{"flat", {}, {{1, 2}, {2, 2}}}}, log_y}).element()), "");
    const std::string text =
        draw_lines({"", "", "", {{"one", {}, {{1, 2}, {2, NAN}, {3, INFINITY}}}}, log_y}).element();
    EXPECT_THAT(text, Not(HasSubstr("nan")));
    EXPECT_THAT(text, Not(HasSubstr("inf")));
    EXPECT_THAT(text, HasSubstr("<circle"));
  }
}

TEST(Charts, HeatMap) {
  const std::string map =
      draw_heat_map({"weights", "layer", "weight", {"a<b", "c"}, {"h0", "h1"}, {{0.5, 0.25}, {NAN, 0}}}).element();
  EXPECT_EQ(markup_fault(map), "");
  EXPECT_THAT(map, HasSubstr("fill=\"" + viridis(1) + "\"><title>a&lt;b, h0: 0.5000</title>"));
  EXPECT_THAT(map, HasSubstr("fill=\"" + viridis(0.5) + "\"><title>a&lt;b, h1: 0.2500</title>"));
  EXPECT_THAT(map, Not(HasSubstr("c, h0")));
}

}  // namespace
}  // namespace strata

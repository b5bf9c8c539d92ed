#include <cmath>

#include "core/interfaces/interface.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Interface> make(const std::string& options, InterfaceInput input) {
  return make_variant<InterfaceRegistry>(R"({"type": "grouped_weighted_sum")" + options + "}", input);
}

TEST(GroupedWeightedSum, TheFirstGroupsAreTheLongerOnes) {
  const auto grouped = make(R"(, "groups": 2, "project": false)", {3, 1});
  Parameters parameters;
  parameters.add("layer_weights", tensor({std::log(3.0), 0, 5}, {3}));  // 3/4, 1/4; 1
  expect_close(grouped->forward(parameters, tensor({4, 8, 100}, {1, 1, 3, 1})), tensor({5, 100}, {1, 1, 2}));
  EXPECT_EQ(grouped->output_width(), 2);
}

TEST(GroupedWeightedSum, MapsTheSumsToTheWidth) {
  const auto grouped = make(R"(, "groups": 2, "output_dim": 1)", {2, 1});
  Parameters parameters;
  parameters.add("layer_weights", tensor({7, -7}, {2}));
  parameters.add("projection.weight", tensor({1, 10}, {1, 2}));
  parameters.add("projection.bias", tensor({0.5}, {1}));
  expect_close(grouped->forward(parameters, tensor({3, 4}, {1, 1, 2, 1})), tensor({43.5}, {1, 1, 1}));
  EXPECT_EQ(make("", {13, 768})->output_width(), 768);
  EXPECT_EQ(count_elements(make(R"(, "groups": 4)", {13, 768})->parameters()), 13 + 4 * 768 * 768 + 768);
}

TEST(GroupedWeightedSum, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "groups": 4)", {3, 1});
            }),
            "not applicable: grouped_weighted_sum wants 4 groups, but there are 3 layers");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "project": false, "output_dim": 4)", {3, 1});
            }),
            "grouped_weighted_sum: output_dim 4 needs project");
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"(, "groups": 0)", {3, 1});
            }),
            "test /part/groups: 0 is not allowed; takes an integer, at least 1");
}

}  // namespace
}  // namespace strata

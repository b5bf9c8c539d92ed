#include <ATen/TensorOperators.h>

#include "core/fusions/fusion.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Fusion> make(const std::string& options, FusionInput input) {
  return make_variant<FusionRegistry>(options, std::move(input));
}

TEST(NoFusion, IsTheHeadOfTheInterface) {
  const auto none = make(R"({"type": "none"})", {{13}, {768}, {5}});
  EXPECT_EQ(none->heads(), 1);
  EXPECT_EQ(none->head_width(0), 5);
  EXPECT_TRUE(none->parameters().empty());
  const FusionParts parts = {[](std::size_t, const at::Tensor& x) { return x + 1; },
                             [](std::size_t, const at::Tensor& x) { return x * 10; }};
  expect_close(none->forward({}, {tensor({1, 2}, {2})}, parts), tensor({20, 30}, {2}));
}

TEST(NoFusion, RefusesTwoUpstreams) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"({"type": "none"})", {{13, 25}, {768, 1024}, {768, 1024}});
            }),
            "not applicable: fusion none takes one upstream, found 2");
}

TEST(NoFusion, TakesNoOptions) {
  EXPECT_EQ(error_of<ConfigError>([] {
              make(R"({"type": "none", "weights": 1})", {{13}, {768}, {768}});
            }),
            "test /part/weights: unknown key; \"none\" takes type");
}

}  // namespace
}  // namespace strata

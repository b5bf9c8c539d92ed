#include "core/upstreams/modules.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

namespace strata {
namespace {

// As under autocast: 1 + 2^-10 is no number of bfloat16.
TEST(Modules, ASumIsNotRoundedToWhatIsAdded) {
  const at::Tensor x = at::full({2, 3}, 1, at::kFloat);
  for (const bool gradients : {false, true}) {
    const c10::AutoGradMode mode(gradients);
    const at::Tensor sum = add_to(x, at::full({2, 3}, 1.0 / 1024, at::kBFloat16));
    EXPECT_EQ(sum.scalar_type(), at::kFloat);
    EXPECT_TRUE(sum.equal(at::full({2, 3}, 1 + 1.0 / 1024, at::kFloat)));
  }
}

TEST(Modules, ASumTakesTheMemoryOfWhatIsAdded) {
  const c10::NoGradGuard frozen;
  at::Tensor y = at::full({2, 3}, 2, at::kFloat);
  const void* memory = y.const_data_ptr();
  const at::Tensor x = at::full({2, 3}, 1, at::kFloat), sum = add_to(x, std::move(y));
  EXPECT_EQ(sum.const_data_ptr(), memory);
  EXPECT_TRUE(sum.equal(at::full({2, 3}, 3, at::kFloat)));
  EXPECT_TRUE(x.equal(at::full({2, 3}, 1, at::kFloat)));
}

}  // namespace
}  // namespace strata

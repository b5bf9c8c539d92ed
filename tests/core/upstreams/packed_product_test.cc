#include "core/upstreams/packed_product.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/base/random.h"

namespace strata {
namespace {

at::Tensor random_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  RandomStream random({seed});
  at::Tensor matrix = at::empty({rows, columns}, at::kFloat);
  for (std::int64_t i = 0; i < matrix.numel(); ++i)
    matrix.mutable_data_ptr<float>()[i] = static_cast<float>(random.normal());
  return matrix;
}

TEST(PackedProduct, IsTheProductForAnyNumberOfRows) {
  for (const auto& [in, out] : {std::pair{64, 64}, {96, 200}, {300, 70}}) {
    const at::Tensor weight = random_matrix(out, in, 1), bias = random_matrix(1, out, 2).squeeze(0);
    const auto product = PackedProduct::pack(weight, bias);
    if (!product) return;  // this LibTorch has no MKL: ordinary products are taken
    for (const int rows : {1, 2, 95, 96, 191, 192, 193, 287, 288, 384, 500}) {
      const at::Tensor x = random_matrix(rows, in, 3);
      const at::Tensor want = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      const at::Tensor got = (*product)(x);
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_LT((got - want).abs().max().item<double>(), 1e-6 * want.abs().max().item<double>()) << rows;
    }
  }
}

TEST(PackedProduct, IsForLargeMatricesOfFloat32) {
  EXPECT_FALSE(PackedProduct::pack(at::zeros({8, 64}), at::zeros({8})));
  EXPECT_FALSE(PackedProduct::pack(at::zeros({64, 64}, at::kDouble), at::zeros({64}, at::kDouble)));
}

}  // namespace
}  // namespace strata

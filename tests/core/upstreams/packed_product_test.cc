#include "core/upstreams/packed_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
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
  for (const ProductLibrary library : {ProductLibrary::kFastest, ProductLibrary::kMkl, ProductLibrary::kOneDnn}) {
    for (const auto& [in, out] : {std::pair{64, 64}, {96, 200}, {300, 70}, {2051, 65}}) {
      const at::Tensor weight = random_matrix(out, in, 1);
      const auto product = PackedProduct::pack(weight, at::kFloat, library);
      if (!product) continue;  // this LibTorch or CPU does not have it: ordinary products are taken
      for (const int rows : {0, 1, 2, 7, 95, 191, 192, 193, 384, 500, 1031}) {
        const at::Tensor x = random_matrix(rows, in, 3), before = random_matrix(rows, out, 2);
        const at::Tensor added = before.clone(), written = before.clone();
        const at::Tensor want = x.to(at::kDouble).mm(weight.t().to(at::kDouble));
        product->add_to(added, x);
        product->write(written, x);
        if (rows == 0) continue;
        const double allowed = (in < 1000 ? 1e-6 : 2e-6) * want.abs().max().item<double>();
        EXPECT_LT((added - before.to(at::kDouble) - want).abs().max().item<double>(), allowed) << in << " " << rows;
        EXPECT_LT((written - want).abs().max().item<double>(), allowed) << in << " " << rows;
      }
    }
  }
}

TEST(PackedProduct, TakesRowsThatLieApart) {
  const at::Tensor weight = random_matrix(80, 64, 1), wide = random_matrix(50, 200, 2);
  const auto product = PackedProduct::pack(weight);
  if (!product) return;
  const at::Tensor x = wide.narrow(1, 3, 64), wide_out = at::zeros({50, 100}), out = wide_out.narrow(1, 10, 80);
  product->add_to(out, x);
  const at::Tensor want = x.to(at::kDouble).mm(weight.t().to(at::kDouble));
  EXPECT_LT((out - want).abs().max().item<double>(), 1e-6 * want.abs().max().item<double>());
  EXPECT_EQ(wide_out.narrow(1, 0, 10).abs().max().item<double>(), 0.0);
  EXPECT_EQ(wide_out.narrow(1, 90, 10).abs().max().item<double>(), 0.0);
}

TEST(PackedProduct, RefusesWhatAreNoRows) {
  const auto product = PackedProduct::pack(random_matrix(64, 64, 1));
  if (!product) return;
  const at::Tensor x = at::zeros({10, 64});
  EXPECT_THROW(product->add_to(at::zeros({10, 63}), x), InternalError);
  EXPECT_THROW(product->add_to(at::zeros({9, 64}), x), InternalError);
  EXPECT_THROW(product->add_to(at::zeros({10, 64}), at::zeros({64, 10}).t()), InternalError);
  EXPECT_THROW(product->add_to(at::zeros({10, 64}), x.to(at::kDouble)), InternalError);
  EXPECT_THROW(product->add_to(at::zeros({10, 64}), at::zeros({200}).as_strided({10, 64}, {8, 1})), InternalError);
}

TEST(PackedProduct, RoundsItsFactorsToSixteenBits) {
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    if (!PackedProduct::refusal(type).empty()) continue;
    for (const int in : {96, 97, 2050}) {
      const at::Tensor weight = random_matrix(200, in, 1);
      const auto product = PackedProduct::pack(weight, type);
      ASSERT_TRUE(product);
      for (const int rows : {0, 1, 7, 193}) {
        const at::Tensor x = random_matrix(rows, in + 14, 3).narrow(1, 5, in), before = random_matrix(rows, 200, 2);
        const at::Tensor added = before.clone(), written = before.clone();
        const at::Tensor want = x.to(type).to(at::kDouble).mm(weight.to(type).t().to(at::kDouble));
        product->add_to(added, x);
        product->write(written, x);
        if (rows == 0) continue;
        const double allowed = (in < 1000 ? 1e-6 : 2e-6) * want.abs().max().item<double>();
        EXPECT_LT((written - want).abs().max().item<double>(), allowed) << rows;
        EXPECT_LT((added - before.to(at::kDouble) - want).abs().max().item<double>(), allowed) << rows;
      }
    }
  }
}

TEST(PackedProduct, IsForLargeMatricesOfFloat32) {
  EXPECT_FALSE(PackedProduct::pack(at::zeros({8, 64})));
  EXPECT_FALSE(PackedProduct::pack(at::zeros({64, 64}, at::kDouble)));
}

}  // namespace
}  // namespace strata

#include "core/upstreams/sample_conv.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

namespace strata {
namespace {

at::Tensor values(std::int64_t count, double step) { return at::arange(count, at::kDouble).mul(step).sin(); }

TEST(SampleConv, IsTheConvolution) {
  for (const std::int64_t width : {1, 63, 64, 65, 192, 512}) {
    for (const std::int64_t kernel : {1, 3, 10}) {
      for (const std::int64_t rows : {1, 2, 37}) {
        constexpr std::int64_t kStride = 5;
        const at::Tensor x = values((rows - 1) * kStride + kernel, 0.7), shift = values(width, 1.1);
        const at::Tensor w = values(kernel * width, 1.3).view({kernel, width});
        const at::Tensor exact = at::conv1d(x.view({1, 1, -1}), w.t().unsqueeze(1), shift, kStride).squeeze(0).t();
        const at::Tensor x32 = x.to(at::kFloat), w32 = w.to(at::kFloat), shift32 = shift.to(at::kFloat);
        const at::Tensor out = at::full({rows + 1, width}, 7.0F);  // the last row is not its own
        for (const bool shifted : {true, false}) {
          convolve_samples(x32.const_data_ptr<float>(), kStride, w32.const_data_ptr<float>(), kernel,
                           shifted ? shift32.const_data_ptr<float>() : nullptr, rows, width,
                           out.mutable_data_ptr<float>());
          const at::Tensor want = shifted ? exact : exact - shift;
          const at::Tensor difference = (out.narrow(0, 0, rows).to(at::kDouble) - want).abs();
          EXPECT_LT(difference.max().item<double>(), 1e-6 * static_cast<double>(kernel + 1))
              << width << " " << kernel << " " << rows;
          EXPECT_TRUE(out.select(0, rows).eq(7.0).all().item<bool>());
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata

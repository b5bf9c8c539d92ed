// What a GPU is given, on LibTorch's device `meta`: it has shapes and no values, so that an operation that only the CPU
// has, or one that waits for a value, fails there as it would fail, or wait, on a GPU.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <torch/library.h>

#include <numeric>

#include "tests/core/upstreams/random_model.h"

namespace strata {
namespace {

constexpr std::uint64_t kModels = 12;  // of each family

// A few operations have no shapes outside of Python. They have those that the CPU finds for zeros,
void on_zeros(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  for (c10::IValue& value : *stack) {
    if (value.isTensor() && value.toTensor().defined())
      value = at::zeros(value.toTensor().sizes(), value.toTensor().options().device(c10::kCPU));
  }
  operation.callBoxed(stack);
  for (c10::IValue& value : *stack) {
    if (value.isTensor()) value = value.toTensor().to(c10::kMeta);
  }
}

/// and the convolution, of which the CPU has another, by its definition.
at::Tensor convolution_of_shapes(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>&,
                                 c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                                 bool transposed, c10::SymIntArrayRef output_padding, c10::SymInt groups) {
  std::vector<std::int64_t> shape = {x.size(0), transposed ? weight.size(1) * groups.expect_int() : weight.size(0)};
  for (std::size_t i = 0; i < stride.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(i) + 2;
    const std::int64_t span = dilation[i].expect_int() * (weight.size(axis) - 1), pads = 2 * padding[i].expect_int();
    shape.push_back(transposed
                        ? (x.size(axis) - 1) * stride[i].expect_int() - pads + span + 1 + output_padding[i].expect_int()
                        : (x.size(axis) + pads - span - 1) / stride[i].expect_int() + 1);
  }
  return at::empty(shape, x.options());
}

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("convolution_overrideable", convolution_of_shapes);
  for (const char* name :
       {"flip", "index_select", "native_batch_norm", "native_group_norm", "where.self", "where.self_out"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&on_zeros>());
}

class OnADevice : public testing::TestWithParam<std::string> {};

TEST_P(OnADevice, HasTheShapesOfTheCpu) {
  for (std::uint64_t seed = 0; seed < kModels; ++seed) {
    const RandomModel model(GetParam(), seed);
    SCOPED_TRACE(model.config().dump());
    const auto on_cpu = model.open(), on_device = model.open(Json::object(), c10::kMeta);
    EXPECT_EQ(on_cpu->device(), c10::kCPU);
    EXPECT_EQ(on_device->device(), c10::kMeta);
    EXPECT_EQ(on_device->compute(), "float32");
    std::vector<std::size_t> taps(on_cpu->spec().taps.size());
    std::iota(taps.begin(), taps.end(), 0);
    for (const std::int64_t samples : {on_cpu->minimum_samples(), on_cpu->minimum_samples() + 12345}) {
      const at::Tensor wave = random_wave(samples, seed);
      const auto want = on_cpu->forward(wave, taps), got = on_device->forward(wave, taps);
      for (std::size_t t = 0; t < taps.size(); ++t) {
        EXPECT_EQ(got[t].device(), c10::kMeta) << t;
        EXPECT_EQ(got[t].scalar_type(), at::kFloat) << t;
        EXPECT_EQ(got[t].sizes(), want[t].sizes()) << t;
      }
    }
  }
}

// A GPU computes in 16 bits whatever this machine's CPU can.
TEST_P(OnADevice, MayComputeIn16Bits) {
  for (const char* compute : {"bfloat16", "float16"}) {
    const auto upstream = RandomModel(GetParam(), 1).open({{"compute", compute}}, c10::kMeta);
    EXPECT_EQ(upstream->compute(), compute);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OnADevice, testing::ValuesIn(RandomModel::families()), [](const auto& info) {
  std::string name = info.param;
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
});

}  // namespace
}  // namespace strata

#include "tests/core/testing.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/base/random.h"

namespace strata {

at::Tensor tensor(const std::vector<double>& values, const std::vector<std::int64_t>& shape) {
  return at::tensor(values, at::kDouble).view(shape);
}

at::Tensor integers(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

at::Tensor integers(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& shape) {
  return integers(values).view(shape);
}

at::Tensor random_tensor(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  at::Tensor values = at::empty(shape, at::kDouble);
  RandomStream random({seed});
  double* out = values.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = random.normal();
  return values;
}

at::Tensor random_parameters(const std::vector<ParameterSpec>& specs, std::uint64_t seed) {
  return 0.5 * random_tensor({count_elements(specs)}, seed);
}

void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_TRUE(at::allclose(got.to(at::kDouble), want.to(at::kDouble), 0.0, tolerance)) << "got\n"
                                                                                       << got << "\nwant\n"
                                                                                       << want;
}

}  // namespace strata

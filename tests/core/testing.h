#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/config/registry.h"
#include "core/tensor/parameters.h"
#include "tests/errors.h"

namespace strata {

/// The variant that `options` (JSON text with `type`) names, as a study would make it; errors name "test /part".
template <class Registry, class... Context>
auto make_variant(const std::string& options, Context... context) {
  return Registry::make(FieldReader(parse_json(options, "test"), "test", "/part"), context...);
}

/// A float64 tensor of these values.
at::Tensor tensor(const std::vector<double>& values, const std::vector<std::int64_t>& shape);
at::Tensor integers(const std::vector<std::int64_t>& values);
at::Tensor integers(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& shape);

/// Normal numbers, float64, the same on every machine.
at::Tensor random_tensor(const std::vector<std::int64_t>& shape, std::uint64_t seed);

/// Random values for parameters, so that none rests where its start would hide a fault: 0.5 * normal, float64.
at::Tensor random_parameters(const std::vector<ParameterSpec>& specs, std::uint64_t seed);

/// Fails the test, showing both, if shapes differ or a value differs by more than `tolerance`.
void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance = 1e-12);

}  // namespace strata

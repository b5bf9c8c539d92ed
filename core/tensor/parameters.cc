#include "core/tensor/parameters.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"

namespace strata {

const at::Tensor& Parameters::operator[](const std::string& name) const {
  for (const auto& [n, tensor] : items_) {
    if (n == name) return tensor;
  }
  throw InternalError(fmt::format("a module asked for the parameter \"{}\", which it did not declare", name));
}

Parameters Parameters::scope(const std::string& prefix) const {
  Parameters inner;
  const std::string start = prefix + ".";
  for (const auto& [name, tensor] : items_) {
    if (name.starts_with(start)) inner.add(name.substr(start.size()), tensor);
  }
  return inner;
}

std::vector<ParameterSpec> with_prefix(const std::string& prefix, std::vector<ParameterSpec> specs) {
  for (ParameterSpec& spec : specs) spec.name = prefix + "." + spec.name;
  return specs;
}

std::int64_t count_elements(const std::vector<ParameterSpec>& specs) {
  std::int64_t sum = 0;
  for (const ParameterSpec& spec : specs) sum += spec.elements();
  return sum;
}

Parameters view_parameters(const std::vector<ParameterSpec>& specs, const at::Tensor& flat) {
  if (flat.dim() != 1 || flat.size(0) != count_elements(specs)) {
    throw ShapeError(fmt::format("parameters: expected a vector of {} elements, found {} dimensions of {} elements",
                                 count_elements(specs), flat.dim(), flat.numel()));
  }
  Parameters views;
  std::int64_t offset = 0;
  for (const ParameterSpec& spec : specs) {
    views.add(spec.name, flat.narrow(0, offset, spec.elements()).view(spec.shape));
    offset += spec.elements();
  }
  return views;
}

at::Tensor initial_parameters(const std::vector<ParameterSpec>& specs, std::uint64_t seed, const std::string& trial) {
  at::Tensor flat = at::empty({count_elements(specs)}, at::kFloat);
  float* out = flat.mutable_data_ptr<float>();
  for (const ParameterSpec& spec : specs) {
    RandomStream random({seed, key_of(trial), key_of(spec.name)});
    const double bound = 1.0 / std::sqrt(static_cast<double>(spec.fan_in));
    for (std::int64_t i = 0; i < spec.elements(); ++i) {
      *out++ = spec.init == Init::kZero  ? 0.0f
               : spec.init == Init::kOne ? 1.0f
                                         : static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
    }
  }
  return flat;
}

}  // namespace strata

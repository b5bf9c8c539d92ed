#include "core/upstreams/weight_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "core/base/error.h"

namespace strata {

struct WeightReader::State {
  NamedTensors tensors;
  std::string place;
  at::ScalarType dtype;
  Spelling spelling;
  at::ScalarType arithmetic;
  c10::Device device = c10::kCPU;
  NamedTensors taken;           // by the modules' names
  std::set<std::string> spent;  // by the file's
};

WeightReader::WeightReader(NamedTensors tensors, std::string place, at::ScalarType dtype, Spelling spelling,
                           at::ScalarType arithmetic, c10::Device device)
    : state_(std::make_shared<State>()) {
  if (!spelling) spelling = [](const std::string& name) { return name; };
  *state_ = {std::move(tensors), std::move(place), dtype, std::move(spelling), arithmetic, device, {}, {}};
}

WeightReader WeightReader::scope(const std::string& name) const {
  WeightReader inner = *this;
  inner.prefix_ += name + ".";
  return inner;
}

bool WeightReader::has(const std::string& name) const {
  return state_->tensors.contains(state_->spelling(prefix_ + name));
}

at::ScalarType WeightReader::arithmetic() const { return state_->arithmetic; }

void WeightReader::fail(const std::string& name, const std::string& message) const {
  throw ConfigError(fmt::format("{}: weight {}: {}", state_->place, state_->spelling(prefix_ + name), message));
}

const at::Tensor& WeightReader::find(const std::string& name) const {
  const auto found = state_->tensors.find(state_->spelling(prefix_ + name));
  if (found == state_->tensors.end()) fail(name, "it is missing");
  return found->second;
}

at::Tensor WeightReader::take(const std::string& name, const std::vector<std::int64_t>& shape) const {
  if (!has(name)) fail(name, fmt::format("it is missing; expected {}", shape));
  const at::Tensor& stored = find(name);
  if (stored.sizes() != shape || !stored.is_floating_point()) {
    fail(name, fmt::format("expected {} floating point, found {} {}", shape, stored.sizes().vec(),
                           c10::toString(stored.scalar_type())));
  }
  state_->taken[prefix_ + name] = stored;
  state_->spent.insert(state_->spelling(prefix_ + name));
  return stored.to(state_->device, state_->dtype);
}

std::vector<std::int64_t> WeightReader::shape_of(const std::string& name) const { return find(name).sizes().vec(); }

void WeightReader::finish(const std::string& model) const {
  for (const auto& [name, tensor] : state_->tensors) {
    if (state_->spent.contains(name)) continue;
    throw ConfigError(
        fmt::format("{}: weight {}: unexpected, found {}; the {} model that config.json describes has none of this "
                    "name, and no known head has",
                    state_->place, printable(name), tensor.sizes().vec(), model));
  }
}

const NamedTensors& WeightReader::taken() const { return state_->taken; }

}  // namespace strata

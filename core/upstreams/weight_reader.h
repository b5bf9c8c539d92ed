#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

#include "core/tensor/safetensors.h"

namespace strata {

/// The weights of a model being consumed: each module takes its own, by name and with the shape it expects, and what
/// nobody took in the end is an error. Modules use Hugging Face's names in their current spelling; copies share what
/// was taken. Every error is a ConfigError that names the place, the weight as the file spells it, expected and found.
class WeightReader {
 public:
  /// How the file spells the name that a module asks for.
  using Spelling = std::function<std::string(const std::string&)>;

  /// `place` (the model's folder) is named in errors; weights are handed out in `dtype` on `device`, cast where they
  /// are stored in another. `arithmetic`: what the CPU computes large products of float32 weights in
  /// (packed_product.h).
  WeightReader(NamedTensors tensors, std::string place, at::ScalarType dtype, Spelling spelling = nullptr,
               at::ScalarType arithmetic = at::kFloat, c10::Device device = c10::kCPU);

  /// Reads the names that start with `name` + ".".
  WeightReader scope(const std::string& name) const;

  bool has(const std::string& name) const;
  at::ScalarType arithmetic() const;

  /// Throws if it is missing, not floating point, or of another shape.
  at::Tensor take(const std::string& name, const std::vector<std::int64_t>& shape) const;

  /// The shape of a weight that decides a size of its own; throws if it is missing.
  std::vector<std::int64_t> shape_of(const std::string& name) const;

  /// Throws if there are weights that nobody took. `model` names the family in the message.
  void finish(const std::string& model) const;

  /// What was taken so far, by the modules' names, as it is stored.
  const NamedTensors& taken() const;

  [[noreturn]] void fail(const std::string& name, const std::string& message) const;

 private:
  struct State;
  const at::Tensor& find(const std::string& name) const;

  std::shared_ptr<State> state_;
  std::string prefix_;
};

}  // namespace strata

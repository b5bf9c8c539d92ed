#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace strata {

/// How a parameter starts. Drawn from RandomStream keys of (seed, trial, name), so it depends on nothing else.
enum class Init {
  kZero,
  kOne,
  kUniformFanIn,  // U(-b, b), b = 1 / sqrt(fan_in): torch's default for Linear and Conv weights and biases
};

/// One trainable tensor of a module.
struct ParameterSpec {
  std::string name;                 // as in the goldens, such as "projector.weight"
  std::vector<std::int64_t> shape;  // without the leading trial axis
  Init init = Init::kUniformFanIn;
  std::int64_t fan_in = 1;          // for kUniformFanIn

  std::int64_t elements() const {
    std::int64_t n = 1;
    for (const std::int64_t s : shape) n *= s;
    return n;
  }
};

/// Parameters of one module by name: views into one flat buffer that optimizer, all-reduce and checkpoint see as a vector.
/// Modules are plain classes whose `forward` is given their parameters. Copying copies references, not data.
class Parameters {
 public:
  void add(std::string name, at::Tensor tensor) { items_.emplace_back(std::move(name), std::move(tensor)); }

  /// Throws InternalError if there is no parameter of that name.
  const at::Tensor& operator[](const std::string& name) const;

  /// Those whose name starts with `prefix` + ".", with the prefix taken off.
  Parameters scope(const std::string& prefix) const;

  const std::vector<std::pair<std::string, at::Tensor>>& items() const { return items_; }

 private:
  std::vector<std::pair<std::string, at::Tensor>> items_;
};

/// `specs` with `prefix` + "." put before each name.
std::vector<ParameterSpec> with_prefix(const std::string& prefix, std::vector<ParameterSpec> specs);

/// Note [Banks]. K trials of equal shape are K rows of one buffer, [K, sum of elements]: an optimizer and an all-reduce see
/// one tensor. Their forward is the forward of one trial, written once for one row: under LibTorch's batching transform
/// (at::functorch: push a vmap layer of size K, `addBatchDim(buffer, 0, level)`, view_parameters, forward, unwrap, pop)
/// every operation on parameters gains the leading axis K, while features that all trials share are read once. For that
/// modules keep to three rules: nothing is written in place into a tensor that has no trial axis, no value of a parameter
/// is read on the host (item), and no branch depends on one. tests/core/model/contract_test.cc holds every combination of
/// parts to it: outputs and gradients of a bank are those of each trial alone. One operation has no batching rule in
/// LibTorch, the LSTM: a bank of rnn_ctc heads is one up to the head, then each trial's own.

/// Sum of elements.
std::int64_t count_elements(const std::vector<ParameterSpec>& specs);

/// The flat buffer cut into named views, in the order of `specs`.
///   flat     [sum of elements], contiguous; gradients of the views arrive in it
///   returns  one view per spec
/// Throws ShapeError if the sizes do not fit.
Parameters view_parameters(const std::vector<ParameterSpec>& specs, const at::Tensor& flat);

/// A flat float32 buffer with every parameter at its start. `seed` and `trial` are the keys of the random numbers.
at::Tensor initial_parameters(const std::vector<ParameterSpec>& specs, std::uint64_t seed, const std::string& trial);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/tensor/parameters.h"
#include "core/tensor/safetensors.h"
#include "tools/goldens/golden.h"

namespace strata {

/// Largest absolute difference; infinity if the shapes differ, if a NaN or an infinity stands on one side only, or if
/// `want` is of integers and one differs.
double largest_difference(const at::Tensor& got, const at::Tensor& want);

/// 1e-10 * max(1, max|want|), over the finite values: the READMEs' rule for a run in float64.
double allowed_in_float64(const at::Tensor& want);

/// factor * err32 + 1e-6 * max|want|: the READMEs' rule for a run in float32.
double allowed_in_float32(const at::Tensor& want, double err32, double factor);

/// A line that fails because of `reason`.
GoldenLine failed_line(const std::string& name, const std::string& reason);

/// A line of things that are equal or not: counts, text, lists.
GoldenLine equality_line(const std::string& name, bool equal);

/// Runs `check`; an exception becomes a failing line `name` with the first line of its message.
void guarded(std::vector<GoldenLine>& lines, const std::string& name, const std::function<void()>& check);

/// A safetensors file whose keys must all be used.
class Fixture {
 public:
  explicit Fixture(const std::filesystem::path& path);

  /// Throws DataError if the file has no such key.
  const at::Tensor& operator[](const std::string& key);
  bool has(const std::string& key) const { return tensors_.contains(key); }
  /// Keys that start with `prefix`, with it taken off.
  std::vector<std::string> keys(const std::string& prefix) const;
  /// Keys that nobody asked for, in order.
  std::vector<std::string> unused() const;

  /// The tensors `prefix` + name of `specs` as one flat leaf of type `dtype` that takes gradients.
  /// Throws DataError if one is missing, has another shape, or if the file has one more.
  at::Tensor parameters(const std::string& prefix, const std::vector<ParameterSpec>& specs, at::ScalarType dtype);

 private:
  std::filesystem::path path_;
  NamedTensors tensors_;
  std::set<std::string> used_;
};

/// The comparisons of one case in one precision, by the rules of the READMEs.
class Comparison {
 public:
  ///   name        "interfaces/hconv_L5"
  ///   tolerances  the case's part of tolerances.json: {tensor: {max_abs, err32}}
  ///   factor      of err32 in float32
  Comparison(std::vector<GoldenLine>& lines, std::string name, at::ScalarType dtype, Json tolerances,
             double factor = 8.0);

  /// Integers must be equal; floating point by the tolerance of `key`.
  void tensor(const std::string& key, const at::Tensor& got, const at::Tensor& want);

  /// With a tolerance that the README gives for this tensor alone.
  void tensor(const std::string& key, const at::Tensor& got, const at::Tensor& want, double allowed);

  at::ScalarType dtype() const { return dtype_; }

 private:
  std::string line_name(const std::string& key) const;

  std::vector<GoldenLine>& lines_;
  std::string name_;
  at::ScalarType dtype_;
  Json tolerances_;
  double factor_;
};

/// A folder of cases.json, tolerances.json and one safetensors file a case.
///   kind    "interfaces"; lines are named "<kind>/<case> .."
///   check   one case in one precision; called for float64, then float32
///   others  files that are no case and are checked elsewhere
/// A case that fails, and a file that no case names, yield a failing line.
using CaseCheck = std::function<void(const Json& golden_case, Fixture& fixture, Comparison& compare)>;
std::vector<GoldenLine> check_cases(const std::filesystem::path& folder, const std::string& kind,
                                    const CaseCheck& check, const std::set<std::string>& others = {},
                                    double factor = 8.0);

/// [sum of lengths, ..]: the frames of [B, T, ..] that are valid.
at::Tensor valid_frames(const at::Tensor& x, const at::Tensor& lengths);

}  // namespace strata

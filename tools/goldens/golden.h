#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace strata {

/// One comparison: a line of `tools/check_goldens`.
struct GoldenLine {
  std::string name;      // "upstreams/hubert-group w0.h3 float32"
  double error = 0.0;    // largest absolute difference; infinity for another shape, NaN in one place, unequal integers or text
  double allowed = 0.0;
  std::string reason;    // why there is no number, such as an interface that is not known yet; then it fails
  bool passes() const { return reason.empty() && error <= allowed; }
};

/// Checks one kind's folder of fixtures, through the code that `strata` runs. A fixture that is broken or not known yields a
/// failing line, never an exception. The test of a module calls the same function on a copy of the fixtures under tests/.
using GoldenCheck = std::function<std::vector<GoldenLine>(const std::filesystem::path& folder)>;

std::vector<GoldenLine> check_upstreams(const std::filesystem::path& folder);
std::vector<GoldenLine> check_spectral(const std::filesystem::path& folder);
std::vector<GoldenLine> check_interfaces(const std::filesystem::path& folder);
std::vector<GoldenLine> check_fusion(const std::filesystem::path& folder);
std::vector<GoldenLine> check_heads(const std::filesystem::path& folder);
std::vector<GoldenLine> check_metrics(const std::filesystem::path& folder);
std::vector<GoldenLine> check_optim(const std::filesystem::path& folder);

}  // namespace strata

#include "tools/goldens/tolerance.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/logical_or.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <utility>

#include "core/base/error.h"

namespace strata {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double largest_finite(const at::Tensor& values) {
  const at::Tensor finite = values.to(at::kDouble).abs();
  const at::Tensor kept = finite.masked_select(finite.isfinite());
  return kept.numel() == 0 ? 0.0 : kept.max().item<double>();
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

double largest_difference(const at::Tensor& got, const at::Tensor& want) {
  if (got.sizes() != want.sizes()) return kInfinity;
  if (want.numel() == 0) return 0.0;
  if (at::isIntegralType(want.scalar_type(), /*includeBool=*/true)) {
    return at::equal(got.to(want.scalar_type()), want) ? 0.0 : kInfinity;
  }
  const at::Tensor a = got.detach().to(at::kDouble), b = want.to(at::kDouble);
  const at::Tensor finite = a.isfinite().logical_and(b.isfinite());
  const at::Tensor same = at::logical_or(a.eq(b), a.isnan().logical_and(b.isnan()));
  if (!finite.logical_or(same).all().item<bool>()) return kInfinity;
  return largest_finite((a - b).masked_fill(finite.logical_not(), 0.0));
}

double allowed_in_float64(const at::Tensor& want) { return 1e-10 * std::max(1.0, largest_finite(want)); }

double allowed_in_float32(const at::Tensor& want, double err32, double factor) {
  return factor * err32 + 1e-6 * largest_finite(want);
}

GoldenLine failed_line(const std::string& name, const std::string& reason) { return {name, kInfinity, 0.0, reason}; }

GoldenLine equality_line(const std::string& name, bool equal) { return {name, equal ? 0.0 : kInfinity, 0.0, ""}; }

void guarded(std::vector<GoldenLine>& lines, const std::string& name, const std::function<void()>& check) {
  try {
    check();
  } catch (const std::exception& error) {
    lines.push_back(failed_line(name, first_line(error.what())));
  }
}

Fixture::Fixture(const std::filesystem::path& path) : path_(path), tensors_(read_safetensors(path)) {}

const at::Tensor& Fixture::operator[](const std::string& key) {
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) throw DataError(fmt::format("{}: \"{}\" is missing", path_.string(), key));
  used_.insert(key);
  return found->second;
}

std::vector<std::string> Fixture::keys(const std::string& prefix) const {
  std::vector<std::string> found;
  for (const auto& [key, tensor] : tensors_) {
    if (key.starts_with(prefix)) found.push_back(key.substr(prefix.size()));
  }
  return found;
}

std::vector<std::string> Fixture::unused() const {
  std::vector<std::string> left;
  for (const auto& [key, tensor] : tensors_) {
    if (!used_.contains(key)) left.push_back(key);
  }
  return left;
}

at::Tensor Fixture::parameters(const std::string& prefix, const std::vector<ParameterSpec>& specs,
                               at::ScalarType dtype) {
  std::vector<at::Tensor> parts = {at::empty({0}, dtype)};
  for (const ParameterSpec& spec : specs) {
    const at::Tensor& value = (*this)[prefix + spec.name];
    if (value.sizes() != spec.shape) {
      throw DataError(fmt::format("{}: \"{}{}\" has the shape {}, the module's is {}", path_.string(), prefix,
                                  spec.name, value.sizes().vec(), spec.shape));
    }
    parts.push_back(value.reshape(-1).to(dtype));
  }
  if (keys(prefix).size() != specs.size()) {
    throw DataError(fmt::format("{}: {} tensors \"{}..\", the module has {}", path_.string(), keys(prefix).size(),
                                prefix, specs.size()));
  }
  return at::cat(parts).requires_grad_();
}

Comparison::Comparison(std::vector<GoldenLine>& lines, std::string name, at::ScalarType dtype, Json tolerances,
                       double factor)
    : lines_(lines), name_(std::move(name)), dtype_(dtype), tolerances_(std::move(tolerances)), factor_(factor) {}

void Comparison::tensor(const std::string& key, const at::Tensor& got, const at::Tensor& want) {
  const bool integers = at::isIntegralType(want.scalar_type(), /*includeBool=*/true);
  const std::string name = line_name(key);
  double allowed = 0.0;
  if (!integers && dtype_ == at::kDouble) allowed = allowed_in_float64(want);
  if (!integers && dtype_ == at::kFloat) {
    if (!tolerances_.contains(key)) {
      lines_.push_back(failed_line(name, fmt::format("tolerances.json has no entry for \"{}\"", key)));
      return;
    }
    allowed = allowed_in_float32(want, tolerances_.at(key).at("err32").get<double>(), factor_);
  }
  tensor(key, got, want, allowed);
}

void Comparison::tensor(const std::string& key, const at::Tensor& got, const at::Tensor& want, double allowed) {
  lines_.push_back({line_name(key), largest_difference(got, want), allowed, ""});
}

std::string Comparison::line_name(const std::string& key) const {
  return fmt::format("{} {} {}", name_, key, dtype_ == at::kDouble ? "float64" : "float32");
}

namespace {

void check_case(const std::filesystem::path& folder, const std::string& name, const Json& golden_case,
                const Json& tolerances, const CaseCheck& check, double factor, std::vector<GoldenLine>& lines) {
  const std::string stem = golden_case.at("case").get<std::string>();
  guarded(lines, name, [&] {
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      Fixture fixture(folder / (stem + ".safetensors"));
      Comparison compare(lines, name, dtype, tolerances.value(stem, Json::object()), factor);
      check(golden_case, fixture, compare);
      for (const std::string& key : fixture.unused()) {
        lines.push_back(failed_line(name + " " + key, "it is not known what this tensor is"));
      }
    }
  });
}

}  // namespace

std::vector<GoldenLine> check_cases(const std::filesystem::path& folder, const std::string& kind,
                                    const CaseCheck& check, const std::set<std::string>& others, double factor) {
  std::vector<GoldenLine> lines;
  std::set<std::string> known = others;
  known.insert({"README.md", "cases.json", "tolerances.json"});
  guarded(lines, kind, [&] {
    const Json tolerances = read_json(folder / "tolerances.json");
    for (const Json& golden_case : read_json(folder / "cases.json")) {
      const std::string stem = golden_case.at("case").get<std::string>();
      known.insert(stem + ".safetensors");
      check_case(folder, kind + "/" + stem, golden_case, tolerances, check, factor, lines);
    }
  });
  guarded(lines, kind, [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string();
      if (!known.contains(file)) lines.push_back(failed_line(kind + "/" + file, "cases.json does not name this file"));
    }
  });
  return lines;
}

at::Tensor valid_frames(const at::Tensor& x, const at::Tensor& lengths) {
  std::vector<at::Tensor> parts;
  for (std::int64_t b = 0; b < x.size(0); ++b) parts.push_back(x[b].slice(0, 0, lengths[b].item<std::int64_t>()));
  return at::cat(parts);
}

}  // namespace strata

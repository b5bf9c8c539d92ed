#include <fmt/format.h>

#include <optional>

#include "core/base/file.h"
#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/upstream.h"
#include "tools/goldens/compare.h"

namespace strata {
namespace {

constexpr double kAllowedFloat64 = 1e-9;

/// "w0.fbank40.delta": wave, analysis, and what is done to it. Anything else is no such key.
struct Case {
  std::string wave, model;
  Json options;
};

std::optional<Case> parse(const std::string& key) {
  const std::size_t first = key.find('.'), last = key.rfind('.');
  if (first == std::string::npos || first == last) return std::nullopt;
  const std::string analysis = key.substr(first + 1, last - first - 1), form = key.substr(last + 1);
  Case c{key.substr(0, first), "", Json::object()};
  const std::string digits = analysis.size() > 5 ? analysis.substr(5) : "";
  if (analysis == "mfcc") {
    c.model = "mfcc";
  } else if (analysis.starts_with("fbank") && digits.find_first_not_of("0123456789") == std::string::npos) {
    c.model = "fbank";
    if (!digits.empty()) c.options["num_mel_bins"] = std::stol(digits);
  }
  if (c.model.empty() || (form != "plain" && form != "delta" && form != "cmvn")) return std::nullopt;
  if (form != "plain") c.options["deltas"] = true;
  if (form == "cmvn") c.options["cmvn"] = true;
  return c;
}

std::vector<GoldenLine> check_case(const fs::path& folder, const std::string& key, const NamedTensors& tensors,
                                   const Json& tolerances) {
  const std::string name = "spectral/" + key;
  const auto c = parse(key);
  if (!c) return {failing_line(name, "not a key of this kind of fixture")};
  const auto upstream = open_upstream(c->model, {}, FieldReader(c->options, folder.string()));
  const at::Tensor& wave = tensors.at(c->wave);
  const Json& tolerance = tolerances.at(key);
  const double allowed_float32 = 8 * tolerance.at("err32").get<double>() + 1e-6 * tolerance.at("max_abs").get<double>();
  return {compare_tensors(name + " float32", upstream->forward(wave.to(at::kFloat), {0})[0], tensors.at(key),
                          allowed_float32),
          compare_tensors(name + " float64", upstream->forward(wave.to(at::kDouble), {0})[0], tensors.at(key),
                          kAllowedFloat64)};
}

}  // namespace

std::vector<GoldenLine> check_spectral(const fs::path& folder) {
  std::vector<GoldenLine> lines;
  try {
    const NamedTensors tensors = read_safetensors(folder / "spectral.safetensors");
    const Json tolerances = read_json(folder / "tolerances.json");
    for (const auto& [key, tensor] : tensors) {
      if (key.find('.') == std::string::npos) continue;  // a wave
      try {
        for (GoldenLine& line : check_case(folder, key, tensors, tolerances)) lines.push_back(std::move(line));
      } catch (const std::exception& e) {
        lines.push_back(failing_line("spectral/" + key, e.what()));
      }
    }
  } catch (const std::exception& e) {
    lines.push_back(failing_line("spectral", e.what()));
  }
  return lines;
}

}  // namespace strata

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/interfaces/grouped_weighted_sum.h"
#include "core/interfaces/hconv.h"
#include "core/interfaces/interface.h"
#include "core/interfaces/pca.h"
#include "tools/goldens/golden.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

/// A case's configuration: what the interface takes as options, and what follows from them and is compared.
struct Configuration {
  Json options;
  Json consequences = Json::object();
};

Configuration split(const std::string& kind, const Json& config) {
  std::set<std::string> taken;
  for (const FieldDescription& option : InterfaceRegistry::entries().at(kind).options()) taken.insert(option.key);
  Configuration result = {{{"type", kind}}};
  for (const auto& item : config.items()) {
    (taken.contains(item.key()) ? result.options : result.consequences)[item.key()] = item.value();
  }
  return result;
}

std::int64_t convolutions(const Interface& interface) {
  std::int64_t count = 0;
  for (const ParameterSpec& spec : interface.parameters()) {
    count += spec.name.starts_with("conv.") && spec.name.ends_with(".weight") ? 1 : 0;
  }
  return count;
}

void check_consequences(const Interface& interface, const Json& golden_case, const Json& consequences) {
  const auto require = [](const std::string& key, const Json& want, std::int64_t got) {
    if (want != got) throw DataError(fmt::format("{} is {}, expected {}", key, got, want.dump()));
  };
  require("output_width", golden_case.at("output_width"), interface.output_width());
  for (const auto& item : consequences.items()) {
    if (item.key() == "output_dim") {
      require(item.key(), item.value(), interface.output_width());
    } else if (item.key() == "group_sizes") {
      const Json sizes = layer_group_sizes(interface.input().layers, static_cast<std::int64_t>(item.value().size()));
      if (sizes != item.value())
        throw DataError(fmt::format("group_sizes is {}, expected {}", sizes.dump(), item.value().dump()));
    } else if (item.key() == "convs") {
      require(item.key(), item.value(), convolutions(interface));
    } else {
      throw DataError(fmt::format("config key \"{}\" is not known", item.key()));
    }
  }
}

/// A fit is computed in float64 whatever the features' type; its README gives tolerances of its own.
void check_pca_fit(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const Json& config = golden_case.at("config");
  const at::Tensor features =
      layers_as_read(fixture["features"].to(at::kDouble), {fixture["features"].size(2), fixture["features"].size(3)},
                     config.at("normalize").get<bool>());
  const at::Tensor frames = valid_frames(features, fixture["lengths"]).flatten(1);
  CovarianceSums sums(frames[0]);
  for (const at::Tensor& some : frames.split(7)) sums.add(some);
  const PrincipalAxes axes = sums.principal_axes(config.at("output_dim"));
  const auto relative = [&](const std::string& key, const at::Tensor& got) {
    compare.tensor(key, got, fixture[key], 1e-9 * fixture[key].abs().max().item<double>());
  };
  compare.tensor("components", axes.components, fixture["components"], 1e-6);
  relative("mean", axes.mean);
  relative("explained_variance", axes.explained_variance);
  relative("total_variance", axes.total_variance);
}

void check_interface(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const std::string kind = golden_case.at("kind");
  if (kind == "pca_fit") return check_pca_fit(golden_case, fixture, compare);
  if (!InterfaceRegistry::contains(kind)) throw DataError(fmt::format("interface \"{}\" is not known yet", kind));
  const Configuration config = split(kind, golden_case.at("config"));

  const at::Tensor features = fixture["features"].to(compare.dtype(), false, true).requires_grad_();
  const auto interface = InterfaceRegistry::make(FieldReader(config.options, "cases.json"),
                                                 InterfaceInput{features.size(2), features.size(3)});
  check_consequences(*interface, golden_case, config.consequences);
  std::vector<ParameterSpec> specs = interface->parameters();
  for (ParameterSpec& spec : interface->fitted()) specs.push_back(std::move(spec));
  const at::Tensor flat = fixture.parameters("param.", specs, compare.dtype());

  const at::Tensor y = interface->forward(view_parameters(specs, flat), features);
  (y * fixture["cotangent"].to(compare.dtype())).sum().backward();

  const at::Tensor& lengths = fixture["lengths"];
  compare.tensor("output", valid_frames(y, lengths), valid_frames(fixture["output"], lengths));
  compare.tensor("grad.features", features.grad(), fixture["grad.features"]);
  if (specs.empty()) return;
  const Parameters gradients = view_parameters(specs, flat.grad());
  for (const auto& [name, gradient] : gradients.items())
    compare.tensor("grad." + name, gradient, fixture["grad." + name]);
}

/// Positions and channels of every convolution over 3 to 50 layers.
void check_hconv_shapes(const std::filesystem::path& file, std::vector<GoldenLine>& lines) {
  const Json shapes = read_json(file);
  for (const Json& shape : shapes.at("cases")) {
    const std::string name = fmt::format("interfaces/hconv_shapes {} layers", shape.at("layers").dump());
    guarded(lines, name, [&] {
      Json convs = Json::array();
      std::int64_t width = 0;
      for (const LayerConvolution& conv :
           layer_convolutions(shape.at("layers"), shape.at("width"), shapes.at("kernel_size"), shapes.at("stride"))) {
        convs.push_back({conv.positions, conv.channels});
        width = conv.positions * conv.channels;
      }
      lines.push_back(equality_line(name, convs == shape.at("convs") && width == shape.at("output_dim")));
    });
  }
}

}  // namespace

std::vector<GoldenLine> check_interfaces(const std::filesystem::path& folder) {
  const std::string shapes = "hconv_shapes.json";
  std::vector<GoldenLine> lines = check_cases(folder, "interfaces", check_interface, {shapes});
  if (std::filesystem::exists(folder / shapes)) {
    guarded(lines, "interfaces/hconv_shapes", [&] { check_hconv_shapes(folder / shapes, lines); });
  }
  return lines;
}

}  // namespace strata

// tools/bench interfaces: forward and backward of each interface, beside plain forms in LibTorch and memory bandwidth.
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/stack.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/interfaces/hconv.h"
#include "core/interfaces/interface.h"

namespace strata {
namespace {

/// Upstream sizes, as stored: 13 x 768 and 25 x 1024.
struct Size {
  const char* name;
  std::int64_t layers, width;
};
constexpr Size kSizes[] = {{"base", 13, 768}, {"large", 25, 1024}};
constexpr std::int64_t kFrames = 300;

/// What is measured: an interface, or its plain form in LibTorch, on features of a type.
struct Case {
  std::string interface;
  Size size;
  at::ScalarType type;
  std::int64_t batch;
  bool plain = false;

  std::string name() const {
    return fmt::format("{}{}/{}/{}", plain ? "plain_" : "", interface, size.name, at::toString(type));
  }
  /// Features read and output written, forward; features and its gradient read, backward, if anything is trained.
  double bytes(const Interface& made) const {
    const double frames = static_cast<double>(batch * kFrames), passes = made.parameters().empty() ? 1 : 2;
    const std::int64_t layers = interface == "single_layer" || interface == "last_layer" ? 1 : size.layers;
    const double features = static_cast<double>(layers * size.width) * static_cast<double>(at::elementSize(type));
    return passes * frames * (features + 4.0 * static_cast<double>(made.output_width()));
  }
};

/// Gigabytes a second, read and written, of a copy of 256 MB: the best of 9.
double copy_gb_s() {
  const at::Tensor from = at::rand({64 << 20}), to = at::empty_like(from);
  double best = 0;
  for (int i = 0; i < 9; ++i) {
    const auto start = std::chrono::steady_clock::now();
    to.copy_(from);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2e-9 * static_cast<double>(from.nbytes()) / seconds.count());
  }
  return best;
}

/// The fastest of the forms in use: softmax, expand, bmm.
at::Tensor plain_weighted_sum(const at::Tensor& weights, const at::Tensor& x) {
  const std::int64_t frames = x.size(0) * x.size(1), layers = x.size(2), width = x.size(3);
  const at::Tensor features = x.scalar_type() == at::kFloat ? x : x.to(at::kFloat);
  return at::bmm(weights.softmax(0).expand({frames, 1, layers}), features.view({frames, layers, width}))
      .view({x.size(0), x.size(1), width});
}

/// A product for each position and tap, straight from each layer: what makes HConv fast in plain PyTorch.
at::Tensor plain_hconv(const Parameters& parameters, const at::Tensor& x, const Size& size) {
  const HConvOptions options;
  std::vector<at::Tensor> layers;
  for (std::int64_t l = 0; l < size.layers; ++l) layers.push_back(x.select(2, l).reshape({-1, size.width}));
  int convolution = 0;
  for (const LayerConvolution& conv :
       layer_convolutions(size.layers, size.width, options.kernel_size, options.stride)) {
    const at::Tensor taps = parameters[fmt::format("conv.{}.weight", convolution)].permute({2, 1, 0});
    const at::Tensor bias = parameters[fmt::format("conv.{}.bias", convolution++)];
    std::vector<at::Tensor> out;
    for (std::int64_t position = 0; position < conv.positions; ++position) {
      at::Tensor y = bias.expand({x.size(0) * x.size(1), conv.channels});
      for (std::int64_t tap = 0; tap < options.kernel_size; ++tap) {
        const std::int64_t layer = position * options.stride - options.kernel_size / 2 + tap;
        if (layer >= 0 && layer < static_cast<std::int64_t>(layers.size()))
          y = at::addmm(y, layers[static_cast<std::size_t>(layer)], taps[tap]);
      }
      out.push_back(at::relu(y));
    }
    layers = out;
  }
  return at::stack(layers, -1).view({x.size(0), x.size(1), -1});
}

void measure(benchmark::State& state, const Case& one) {
  const Json options = {{"type", one.interface}};
  const auto interface =
      InterfaceRegistry::make(FieldReader(options, "bench"), InterfaceInput{one.size.layers, one.size.width});
  const at::Tensor flat = initial_parameters(interface->parameters(), 1, "bench").requires_grad_();
  Parameters parameters = view_parameters(interface->parameters(), flat);
  for (const ParameterSpec& spec : interface->fitted()) parameters.add(spec.name, at::rand(spec.shape));
  const at::Tensor x = at::rand({one.batch, kFrames, one.size.layers, one.size.width}).to(one.type);
  const at::Tensor gradient = at::rand({one.batch, kFrames, interface->output_width()});
  const double before = copy_gb_s();  // of this case: other guests of a machine change it from minute to minute
  for (auto _ : state) {
    const at::Tensor y = !one.plain                 ? interface->forward(parameters, x)
                         : one.interface == "hconv" ? plain_hconv(parameters, x, one.size)
                                                    : plain_weighted_sum(flat, x);
    if (y.requires_grad()) y.backward(gradient);
    benchmark::DoNotOptimize(y.const_data_ptr());
  }
  const double bytes = one.bytes(*interface), copy = std::max(before, copy_gb_s());
  state.counters["bound_ms"] = 1e-6 * bytes / copy;
  state.counters["gb"] = 1e-9 * bytes;
  state.counters["copy_gb_s"] = copy;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Size& size : kSizes) {
    for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
      for (const char* interface : {"single_layer", "last_layer", "mean_layers", "weighted_sum"}) {
        cases.push_back({interface, size, type, 32});
      }
      cases.push_back({"weighted_sum", size, type, 32, true});
    }
    for (const char* interface : {"grouped_weighted_sum", "concat", "hconv", "pca"}) {
      cases.push_back({interface, size, at::kFloat, 4});
    }
    cases.push_back({"hconv", size, at::kFloat, 4, true});
    cases.push_back({"cls_pooling", size, at::kFloat, 1});
  }
  return cases;
}

/// The console's table, and what it says for the last line.
class Reporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.aggregate_name != "min") continue;
      const double ms = run.GetAdjustedRealTime(), bound = run.counters.at("bound_ms").value;
      results[run.run_name.function_name] = {{"ms", ms},
                                             {"bound_ms", bound},
                                             {"times_bound", ms / bound},
                                             {"copy_gb_s", run.counters.at("copy_gb_s").value}};
    }
  }
  Json results = Json::object();
};

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  fmt::print("{} threads; forward + backward, batch x 300 frames\n", at::get_num_threads());
  for (const Case& one : all_cases()) {
    benchmark::RegisterBenchmark(one.name().c_str(), [one](benchmark::State& state) { measure(state, one); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->MinTime(0.3)
        ->Repetitions(5)
        ->ReportAggregatesOnly()
        ->ComputeStatistics("min", [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); });
  }
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  fmt::print("{}\n",
             Json{{"name", "interfaces"}, {"threads", at::get_num_threads()}, {"cases", reporter.results}}.dump());
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) { return strata::run(argc, argv); }

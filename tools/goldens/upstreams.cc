#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/file.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/upstream.h"
#include "tools/goldens/compare.h"

namespace strata {
namespace {

// Allowed errors relative to the largest value of a state, from the fixtures' README.
constexpr double kStateFloat32 = 5e-6;
constexpr double kGradientFloat32 = 1e-5;
constexpr double kFloat64 = 2e-7;
constexpr const char* kExact = "_f64";  // suffix of what the peer computed in float64
constexpr const char* kGradientWave = "w1";

/// A model folder (or a checkpoint of fairseq) and the fixture that it is held against: its own, or its parent's for a variant of the container.
struct Fixture {
  std::string name;
  fs::path model;
  fs::path values;
};

std::vector<fs::path> sorted_models(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() || entry.path().extension() == ".pt") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<Fixture> find_fixtures(const fs::path& folder) {
  std::vector<fs::path> models = sorted_models(folder);
  if (fs::exists(folder / "expected.safetensors")) models = {folder};
  std::vector<Fixture> fixtures;
  for (const fs::path& model : models) {
    const std::string name = "upstreams/" + fs::absolute(model).lexically_normal().filename().string();
    fixtures.push_back({name, model, model});
    for (const fs::path& variant : sorted_models(model / "variants")) {
      fixtures.push_back({name + "/variants/" + variant.filename().string(), variant, model});
    }
  }
  return fixtures;
}

/// The states of one wave by name: all taps in `names`, and with "s3prl0" .. the list that s3prl makes of the default
/// taps: slow ones repeated to the finest rate, all cut to the shortest.
NamedTensors states_of(const Upstream& upstream, const at::Tensor& wave, const std::set<std::string>& names) {
  std::vector<std::size_t> wanted;
  const std::vector<Tap>& taps = upstream.spec().taps;
  const std::vector<std::string> list = upstream.default_taps();
  const bool s3prl = names.contains("s3prl0");
  for (std::size_t i = 0; i < taps.size(); ++i) {
    if (names.contains(taps[i].name) || (s3prl && i < list.size())) wanted.push_back(i);
  }
  const std::vector<at::Tensor> states = upstream.forward(wave, wanted);
  NamedTensors found;
  for (std::size_t i = 0; i < wanted.size(); ++i) found[taps[wanted[i]].name] = states[i];
  if (!s3prl) return found;
  std::int64_t finest = 0, shortest = wave.size(0);
  for (std::size_t i = 0; i < list.size(); ++i) finest = std::gcd(finest, taps[i].hop_samples);
  std::vector<at::Tensor> repeated;
  for (std::size_t i = 0; i < list.size(); ++i) {
    repeated.push_back(found.at(list[i]).repeat_interleave(taps[i].hop_samples / finest, 0));
    shortest = std::min(shortest, repeated.back().size(0));
  }
  for (std::size_t i = 0; i < list.size(); ++i) found[fmt::format("s3prl{}", i)] = repeated[i].narrow(0, 0, shortest);
  return found;
}

void compare_states(const std::string& name, const NamedTensors& states, const std::set<std::string>& wanted,
                    const NamedTensors& expected, const std::string& wave, bool exact, std::vector<GoldenLine>* lines) {
  for (const std::string& state : wanted) {
    const std::string key = wave + "." + state,
                      line = fmt::format("{} {} {}", name, key, exact ? "float64" : "float32");
    const auto in_float64 = expected.find(key + kExact);
    if (exact && in_float64 == expected.end()) continue;  // known in float32 only
    const at::Tensor& want = in_float64 == expected.end() ? expected.at(key) : in_float64->second;
    const auto got = states.find(state);
    if (got == states.end()) {
      lines->push_back(failing_line(line, "the upstream has no tap of this name"));
    } else {
      lines->push_back(compare_tensors(line, got->second, want, (exact ? kFloat64 : kStateFloat32) * peak(want)));
    }
  }
}

void check_states(const Fixture& fixture, const Upstream& upstream, std::vector<GoldenLine>* lines) {
  const NamedTensors inputs = read_safetensors(fixture.values / "inputs.safetensors");
  const NamedTensors expected = read_safetensors(fixture.values / "expected.safetensors");
  std::map<std::string, std::set<std::string>> wanted;  // states by wave
  for (const auto& [key, value] : expected) {
    const std::size_t dot = key.find('.');
    const std::string state = dot == std::string::npos ? "" : key.substr(dot + 1);
    const std::string plain =
        state.ends_with(kExact) ? state.substr(0, state.size() - std::string(kExact).size()) : state;
    wanted[key.substr(0, dot)].insert(plain);
  }
  for (const auto& [wave, states] : wanted) {
    if (!inputs.contains(wave)) {
      lines->push_back(failing_line(fixture.name + " " + wave, "inputs.safetensors has no such wave"));
      continue;
    }
    for (const bool exact : {false, true}) {
      const at::Tensor samples = inputs.at(wave).to(exact ? at::kDouble : at::kFloat);
      compare_states(fixture.name, states_of(upstream, samples, states), states, expected, wave, exact, lines);
    }
  }
}

/// loss = sum(hL * R), and its gradient for every weight named.
void check_gradients(const Fixture& fixture, const Upstream& upstream, bool exact, std::vector<GoldenLine>* lines) {
  const at::ScalarType dtype = exact ? at::kDouble : at::kFloat;
  const NamedTensors expected = read_safetensors(fixture.values / "grads.safetensors");
  const NamedTensors inputs = read_safetensors(fixture.values / "inputs.safetensors");
  NamedTensors weights;
  for (const auto& [name, tensor] : upstream.weights())
    weights[name] = tensor.to(dtype, false, /*copy=*/true).requires_grad_();
  const c10::AutoGradMode recording(true);
  const std::size_t last = upstream.default_taps().size() - 1;
  const at::Tensor states = upstream.forward_with(weights, inputs.at(kGradientWave).to(dtype), {last})[0];
  const at::Tensor loss = (states * expected.at("R").to(dtype)).sum();
  loss.backward();
  for (const auto& [key, value] : expected) {
    if (!key.ends_with(kExact)) continue;
    const std::string plain = key.substr(0, key.size() - std::string(kExact).size());
    const std::string line = fmt::format("{} {} {}", fixture.name, plain, exact ? "float64" : "float32");
    const double allowed = (exact ? kFloat64 : kGradientFloat32) * peak(value);
    const std::string weight = plain.starts_with("grad.") ? plain.substr(5) : "";
    if (plain == "loss") {
      lines->push_back(compare_tensors(line, loss.reshape({1}), value, allowed));
    } else if (weights.contains(weight) && weights.at(weight).grad().defined()) {
      lines->push_back(compare_tensors(line, weights.at(weight).grad(), value, allowed));
    } else {
      lines->push_back(failing_line(line, "the upstream has no gradient of this name"));
    }
  }
}

}  // namespace

std::vector<GoldenLine> check_upstreams(const fs::path& folder) {
  std::vector<GoldenLine> lines;
  for (const Fixture& fixture : find_fixtures(folder)) {
    try {
      const auto upstream =
          open_upstream(fs::absolute(fixture.model).string(), {}, FieldReader(Json::object(), fixture.name));
      check_states(fixture, *upstream, &lines);
      if (!fs::exists(fixture.values / "grads.safetensors")) continue;
      for (const bool exact : {false, true}) check_gradients(fixture, *upstream, exact, &lines);
    } catch (const std::exception& e) {
      lines.push_back(failing_line(fixture.name, e.what()));
    }
  }
  if (lines.empty()) lines.push_back(failing_line("upstreams", folder.string() + ": there is no fixture"));
  return lines;
}

}  // namespace strata

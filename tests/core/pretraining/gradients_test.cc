#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include "core/base/file.h"
#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/speech_encoder.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

const fs::path kFixture = "tests/golden/upstreams/hubert-group";

/// Gradients of sum(h4 * R) as tests/golden/upstreams/README.md describes them, through the parts from which objectives
/// are made: stem, projection, encoder.
void check(at::ScalarType dtype, double tolerance) {
  const NamedTensors expected = read_safetensors(kFixture / "grads.safetensors");
  NamedTensors weights;
  for (const auto& [name, tensor] : read_safetensors(kFixture / "model.safetensors"))
    weights[name] = tensor.to(dtype, false, /*copy=*/true).requires_grad_();
  const EncoderConfig config =
      read_encoder_config(read_json(kFixture / "config.json"), "config.json", {}, hubert_fields);
  const SpeechEncoder encoder(config, WeightReader(weights, "the fixture", dtype));
  const at::Tensor wave = read_safetensors(kFixture / "inputs.safetensors").at("w1").to(dtype);
  TapCollector taps(encoder_spec(config), {static_cast<std::size_t>(config.num_hidden_layers)});
  encoder.encode(encoder.project(encoder.stem(normalize_wave(wave, {true}))), taps);
  const at::Tensor loss = (std::move(taps).states()[0] * expected.at("R").to(dtype)).sum();
  loss.backward();
  int compared = 0;
  for (const auto& [key, value] : expected) {
    if (!key.starts_with("grad.") || !key.ends_with("_f64")) continue;
    const std::string name = key.substr(5, key.size() - 9);
    const at::Tensor& got = weights.at(name).grad();
    ASSERT_TRUE(got.defined()) << name;
    const double peak = value.abs().max().item<double>();
    EXPECT_LE((got.to(at::kDouble) - value.to(at::kDouble)).abs().max().item<double>(), tolerance * peak) << name;
    ++compared;
  }
  EXPECT_GE(compared, 9);
}

TEST(Gradients, AreThoseOfTheFixtureInFloat32) { check(at::kFloat, 1e-5); }
TEST(Gradients, AreThoseOfTheFixtureInFloat64) { check(at::kDouble, 2e-7); }

}  // namespace
}  // namespace strata

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "core/heads/head.h"
#include "tests/core/testing.h"

namespace strata {
namespace {

std::unique_ptr<Head> make(const std::string& options, HeadInput input) {
  return make_variant<HeadRegistry>(R"({"type": "rnn_ctc")" + options + "}", input);
}

/// Widths of 1 to work by hand: projector x, one LSTM whose cell sees its input alone (all
/// other weights 0), classifier [forward, backward].
Parameters by_hand(const Head& head) {
  Parameters parameters;
  for (const ParameterSpec& spec : head.parameters()) {
    at::Tensor value = at::zeros(spec.shape, at::kDouble);
    if (spec.name == "projector.weight") value.fill_(1);
    if (spec.name.ends_with("weight_ih")) value[2].fill_(1);  // g
    if (spec.name == "classifier.weight") value.copy_(at::eye(2, at::kDouble));
    parameters.add(spec.name, value);
  }
  return parameters;
}

TEST(RnnCtc, ByHand) {
  const auto head = make(R"(, "projector_width": 1, "hidden_width": 1, "layers": 1)", {1, 2});
  // All gates are sigmoid(0) = 1/2, so c[t] = c[t - 1] / 2 + tanh(x[t]) / 2 and h[t] = tanh(c[t]) / 2. The backward
  // direction of the second utterance starts at its only frame.
  const at::Tensor y = head->forward(by_hand(*head), tensor({1, 2, 3, 99}, {2, 2, 1}), integers({2, 1}));
  const double a = std::tanh(1.0) / 2, b = std::tanh(2.0) / 2, c = std::tanh(3.0) / 2;
  const auto h = [](double cell) { return std::tanh(cell) / 2; };
  expect_close(y[0], tensor({h(a), h(b / 2 + a), h(a / 2 + b), h(b)}, {2, 2}));
  expect_close(y[1][0], tensor({h(c), h(c)}, {2}));
  expect_close(y[1][1], tensor({0, 0}, {2}));  // as packed sequences give past the length
}

TEST(RnnCtc, HasTheParametersOfSuperb) {
  EXPECT_EQ(count_elements(make("", {768, 32})->parameters()), 42828832) << "ASR";
  EXPECT_EQ(count_elements(make("", {768, 109})->parameters()), 42986605) << "SF";
  EXPECT_EQ(make("", {768, 32})->output(), HeadOutput::kFrameLogits);
}

TEST(RnnCtc, ReducesFrames) {
  const std::string small = R"(, "projector_width": 2, "hidden_width": 3)";
  const auto plain = make(small, {4, 5});
  expect_close(plain->output_lengths(integers({7, 1})), integers({7, 1}));
  for (const char* style : {"concat", "drop"}) {
    const auto head =
        make(small + R"(, "input_reduction": 2, "layer_reduction": [2, 1], "input_style": ")" + style + "\"", {4, 5});
    expect_close(head->output_lengths(integers({9, 4, 3, 1})), integers({2, 1, 1, 1}));
    const Parameters parameters = view_parameters(head->parameters(), random_parameters(head->parameters(), 1));
    const at::Tensor x = random_tensor({4, 9, 4}, 2), lengths = integers({9, 4, 3, 1});
    const at::Tensor y = head->forward(parameters, x, lengths);
    EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{4, 2, 5})) << style;
    for (std::int64_t b = 0; b < 4; ++b) {
      const std::int64_t length = lengths[b].item<std::int64_t>();
      const at::Tensor alone = head->forward(parameters, x.slice(0, b, b + 1).slice(1, 0, length), integers({length}));
      expect_close(alone[0], y[b].slice(0, 0, alone.size(1)), 1e-10);
    }
  }
}

TEST(RnnCtc, DropsAFractionDrawnFromEachUtterancesKey) {
  const std::string small = R"(, "projector_width": 2, "hidden_width": 50, "layers": 1, "dropout": 0.4)";
  const auto head = make(small, {3, 100});
  const std::vector<ParameterSpec> specs = head->parameters();
  const Parameters drawn = view_parameters(specs, random_parameters(specs, 1));
  Parameters parameters;
  for (const auto& [name, value] : drawn.items()) {
    const bool weight = name == "classifier.weight", bias = name == "classifier.bias";
    parameters.add(name, weight ? at::eye(100, at::kDouble) : bias ? at::zeros_like(value) : value);
  }
  const at::Tensor x = random_tensor({2, 40, 3}, 2), lengths = integers({40, 40});
  const at::Tensor plain = head->forward(parameters, x, lengths);
  const at::Tensor dropped = head->forward_in_training(parameters, x, lengths, {11, 12});
  const at::Tensor kept = dropped != 0;
  expect_close(dropped, at::where(kept, plain / 0.6, at::zeros_like(plain)), 1e-6);
  EXPECT_NEAR(kept.to(at::kDouble).mean().item<double>(), 0.6, 0.02) << "of 8000";

  const at::Tensor swapped = head->forward_in_training(parameters, x.flip({0}), lengths, {12, 11});
  expect_close(swapped.flip({0}), dropped);
  EXPECT_FALSE(at::equal(head->forward_in_training(parameters, x, lengths, {11, 13})[1], dropped[1]));
  const auto none = make(R"(, "projector_width": 2, "hidden_width": 50, "layers": 1, "dropout": 0)", {3, 100});
  EXPECT_TRUE(at::equal(none->forward_in_training(parameters, x, lengths, {11, 12}), plain));
}

TEST(RnnCtc, RefusesWrongOptionsAndShapes) {
  const auto refusal = [](const std::string& options) { return error_of<ConfigError>([&] { make(options, {4, 5}); }); };
  EXPECT_EQ(refusal(R"(, "dropout": 1)"), "test /part/dropout: 1 is not allowed; takes a number, 0 to 0.99");
  EXPECT_EQ(refusal(R"(, "input_style": "mean")"),
            "test /part/input_style: unknown value \"mean\"; known: concat, drop");
  EXPECT_EQ(refusal(R"(, "layer_reduction": [2])"),
            "rnn_ctc: layer_reduction takes a number for each of the 2 layers, found [2]");
  EXPECT_EQ(refusal(R"(, "layer_reduction": [2, 0])"), "rnn_ctc: layer_reduction takes numbers of at least 1, found 0");
  EXPECT_EQ(error_of<ShapeError>([] {
              make("", {768, 2})->forward({}, random_tensor({2, 3, 5}, 1), integers({1, 1}));
            }),
            "rnn_ctc: expected [B, T, 768], found [2, 3, 5]");
}

}  // namespace
}  // namespace strata

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/heads/head.h"
#include "core/heads/linear.h"

namespace strata {
namespace {

struct RnnCtcOptions {
  std::int64_t projector_width = 1024;
  std::int64_t hidden_width = 1024;
  std::int64_t layers = 2;
  double dropout = 0.2;
  bool layer_norm = false;
  bool projection = false;
  std::int64_t input_reduction = 1;
  std::string input_style = "concat";
  std::vector<std::int64_t> layer_reduction;

  void fields(Fields& f) {
    f.number("projector_width", projector_width, "width of the affine map before the LSTMs", at_least(1));
    f.number("hidden_width", hidden_width, "width of each direction of an LSTM", at_least(1));
    f.number("layers", layers, "bidirectional LSTMs", at_least(1));
    f.number("dropout", dropout, "after each LSTM, while training", between(0, 0.99));
    f.flag("layer_norm", layer_norm, "layer norm after each LSTM");
    f.flag("projection", projection, "tanh of an affine map at the end of each layer");
    f.number("input_reduction", input_reduction, "frames that become one before the LSTMs", at_least(1));
    f.text("input_style", input_style, "how they do: side by side, or the first of them", {"concat", "drop"});
    f.numbers("layer_reduction", layer_reduction, "of so many frames after each LSTM one is kept; empty: all are");
  }
};

/// [B, T] true at valid frames.
at::Tensor valid_frames(const at::Tensor& x, const at::Tensor& lengths) {
  const at::Tensor count = lengths.to(x.device()).unsqueeze(1);
  return at::arange(x.size(1), count.options()).unsqueeze(0) < count;
}

/// At least one frame remains of an utterance.
at::Tensor reduced(const at::Tensor& lengths, std::int64_t factor) {
  return factor == 1 ? lengths : lengths.div(factor, "floor").clamp_min(1);
}

/// The head of SUPERB's ASR and SF (s3prl's RNNs): affine map, bidirectional LSTMs, affine map.
///   projector.{weight, bias}                                [P, H], [P]
///   rnn.<i>.{forward, backward}.{weight_ih, weight_hh}      [4 W, in], [4 W, W]; gates i, f, g, o
///   rnn.<i>.{forward, backward}.{bias_ih, bias_hh}          [4 W]
///   rnn.<i>.norm.{weight, bias}, rnn.<i>.projection.*       [2 W]; [2 W, 2 W], [2 W]: with those options
///   classifier.{weight, bias}                               [C, 2 W], [C]; symbol 0 is the blank
/// In a layer: LSTM, layer norm, dropout, every r-th frame, tanh of the projection. Of T frames a reduction by r leaves
/// floor(T / r), but always one; what lacks to a whole one counts as zeros.
class RnnCtc : public Head {
 public:
  RnnCtc(const RnnCtcOptions& options, HeadInput input) : options_(options), input_(input) {
    if (options_.layer_reduction.empty()) options_.layer_reduction.assign(static_cast<std::size_t>(options_.layers), 1);
    if (static_cast<std::int64_t>(options_.layer_reduction.size()) != options_.layers) {
      throw ConfigError(fmt::format("rnn_ctc: layer_reduction takes a number for each of the {} layers, found {}",
                                    options_.layers, options_.layer_reduction));
    }
    for (const std::int64_t r : options_.layer_reduction) {
      if (r < 1) throw ConfigError(fmt::format("rnn_ctc: layer_reduction takes numbers of at least 1, found {}", r));
    }
  }

  HeadOutput output() const override { return HeadOutput::kFrameLogits; }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs = linear_parameters("projector", input_.width, options_.projector_width);
    const std::int64_t out = 2 * options_.hidden_width;
    std::int64_t in = options_.projector_width * (options_.input_style == "concat" ? options_.input_reduction : 1);
    for (std::int64_t i = 0; i < options_.layers; ++i) {
      append_layer(fmt::format("rnn.{}", i), in, out, specs);
      in = out;
    }
    for (ParameterSpec& spec : linear_parameters("classifier", out, input_.classes)) specs.push_back(std::move(spec));
    return specs;
  }

  at::Tensor output_lengths(const at::Tensor& lengths) const override {
    at::Tensor out = reduced(lengths, options_.input_reduction);
    for (const std::int64_t r : options_.layer_reduction) out = reduced(out, r);
    return out;
  }

  at::Tensor forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor& lengths) const override {
    return run(parameters, x, lengths, nullptr);
  }

  at::Tensor forward_in_training(const Parameters& parameters, const at::Tensor& x, const at::Tensor& lengths,
                                 const UtteranceKeys& keys) const override {
    return run(parameters, x, lengths, &keys);
  }

 private:
  void append_layer(const std::string& name, std::int64_t in, std::int64_t out,
                    std::vector<ParameterSpec>& specs) const {
    const std::int64_t width = options_.hidden_width;
    for (const char* direction : {"forward", "backward"}) {
      const std::string prefix = name + "." + direction;
      specs.push_back({prefix + ".weight_ih", {4 * width, in}, Init::kUniformFanIn, width});
      specs.push_back({prefix + ".weight_hh", {4 * width, width}, Init::kUniformFanIn, width});
      specs.push_back({prefix + ".bias_ih", {4 * width}, Init::kUniformFanIn, width});
      specs.push_back({prefix + ".bias_hh", {4 * width}, Init::kUniformFanIn, width});
    }
    if (options_.layer_norm) {
      specs.push_back({name + ".norm.weight", {out}, Init::kOne});
      specs.push_back({name + ".norm.bias", {out}, Init::kZero});
    }
    if (!options_.projection) return;
    for (ParameterSpec& spec : linear_parameters(name + ".projection", out, out)) specs.push_back(std::move(spec));
  }

  at::Tensor run(const Parameters& parameters, const at::Tensor& x, at::Tensor lengths,
                 const UtteranceKeys* keys) const {
    if (x.dim() != 3 || x.size(2) != input_.width) {
      throw ShapeError(fmt::format("rnn_ctc: expected [B, T, {}], found {}", input_.width, x.sizes().vec()));
    }
    at::Tensor y = linear(parameters, "projector", x);
    if (options_.input_reduction > 1) {
      y = options_.input_style == "concat" ? side_by_side(y, lengths)
                                           : y.slice(1, 0, y.size(1), options_.input_reduction);
      lengths = reduced(lengths, options_.input_reduction);
    }
    for (std::int64_t i = 0; i < options_.layers; ++i) {
      const Parameters layer = parameters.scope(fmt::format("rnn.{}", i));
      y = both_directions(layer, y, lengths);
      if (options_.layer_norm) y = at::layer_norm(y, {y.size(2)}, layer["norm.weight"], layer["norm.bias"]);
      if (keys != nullptr && options_.dropout > 0) y = y * dropout_mask(y, lengths, *keys, i);
      const std::int64_t factor = options_.layer_reduction[static_cast<std::size_t>(i)];
      if (factor > 1) y = y.slice(1, 0, y.size(1), factor);
      lengths = reduced(lengths, factor);
      if (options_.projection) y = linear(layer, "projection", y).tanh();
    }
    // A last frame of a reduction that is not whole belongs to nobody.
    return linear(parameters, "classifier", y.slice(1, 0, lengths.max().item<std::int64_t>()));
  }

  /// [B, floor(T / r), r * P], at least one frame.
  at::Tensor side_by_side(const at::Tensor& x, const at::Tensor& lengths) const {
    const std::int64_t factor = options_.input_reduction, frames = std::max<std::int64_t>(x.size(1) / factor, 1);
    at::Tensor y = x.masked_fill(valid_frames(x, lengths).logical_not().unsqueeze(2), 0);
    if (y.size(1) < factor) y = at::constant_pad_nd(y, {0, 0, 0, factor - y.size(1)});
    return y.slice(1, 0, frames * factor).reshape({x.size(0), frames, factor * x.size(2)});
  }

  /// [B, T, 2 W], zero past the lengths. The backward direction is a forward one over each utterance reversed within
  /// its length: packed sequences give the same, but on CPUs their backward pass is quadratic in T.
  at::Tensor both_directions(const Parameters& layer, const at::Tensor& x, const at::Tensor& lengths) const {
    const at::Tensor valid = valid_frames(x, lengths);
    const at::Tensor count = lengths.to(x.device()).unsqueeze(1);
    const at::Tensor frame = at::arange(x.size(1), count.options()).unsqueeze(0);
    const at::Tensor reversed = at::where(valid, count - 1 - frame, frame).unsqueeze(2);
    const auto flip = [&](const at::Tensor& y) { return y.gather(1, reversed.expand(y.sizes())); };
    const at::Tensor ahead = lstm(layer.scope("forward"), x);
    const at::Tensor back = flip(lstm(layer.scope("backward"), flip(x)));
    return at::cat({ahead, back}, 2).masked_fill(valid.logical_not().unsqueeze(2), 0);
  }

  at::Tensor lstm(const Parameters& p, const at::Tensor& x) const {
    const at::Tensor start = at::zeros({1, x.size(0), options_.hidden_width}, x.options());
    return std::get<0>(at::lstm(x, {start, start}, {p["weight_ih"], p["weight_hh"], p["bias_ih"], p["bias_hh"]},
                                /*has_biases=*/true, /*num_layers=*/1, /*dropout=*/0.0,
                                /*train=*/at::GradMode::is_enabled(), /*bidirectional=*/false, /*batch_first=*/true));
  }

  /// 0 with probability `dropout`, else 1 / (1 - dropout); drawn from each utterance's key, whoever else is in the
  /// batch.
  at::Tensor dropout_mask(const at::Tensor& y, const at::Tensor& lengths, const UtteranceKeys& keys,
                          std::int64_t layer) const {
    at::Tensor mask = at::zeros(y.sizes(), at::kFloat);
    for (std::int64_t b = 0; b < y.size(0); ++b) {
      RandomStream random({keys[static_cast<std::size_t>(b)], static_cast<std::uint64_t>(layer)});
      float* out = mask[b].mutable_data_ptr<float>();
      const std::int64_t count = lengths[b].item<std::int64_t>() * y.size(2);
      const auto kept = static_cast<float>(1 / (1 - options_.dropout));
      for (std::int64_t i = 0; i < count; ++i) out[i] = random.uniform() < options_.dropout ? 0.0f : kept;
    }
    return mask.to(y.options());
  }

  RnnCtcOptions options_;
  HeadInput input_;
};

STRATA_REGISTER_HEAD("rnn_ctc", RnnCtcOptions, RnnCtc,
                     "symbols per frame for CTC: affine, bidirectional LSTMs, affine");

}  // namespace
}  // namespace strata

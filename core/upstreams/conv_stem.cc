#include "core/upstreams/conv_stem.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/upstreams/frame_convolution.h"
#include "core/upstreams/sample_conv.h"

namespace strata {
namespace {

constexpr double kStemEps = 1e-5;
constexpr std::int64_t kSegmentFrames = 512;  // of the last layer: what is between the layers then takes 50 MB
constexpr std::int64_t kBlockFrames = 256;    // normed and activated in the cache: 512 kB of float32
static_assert(kBlockFrames % 2 == 0, "pairs of frames consume their input, which must not be another block's");

}  // namespace

ConvStem::ConvStem(const EncoderConfig& config, const WeightReader& weights) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < config.conv_dim.size(); ++i) {
    const std::int64_t out = config.conv_dim[i];
    const WeightReader own = weights.scope("conv_layers." + std::to_string(i));
    Layer layer;
    layer.weight = own.take("conv.weight", {out, in, config.conv_kernel[i]});
    layer.kernel = config.conv_kernel[i];
    layer.stride = config.conv_stride[i];
    if (config.conv_bias || own.has("conv.bias")) layer.bias = own.take("conv.bias", {out});
    if (config.layer_stem()) {
      layer.norm.emplace(out, kStemEps, own.scope("layer_norm"));
    } else if (i == 0) {
      layer.group_weight = own.take("layer_norm.weight", {out});
      layer.group_bias = own.take("layer_norm.bias", {out});
    }
    layers_.push_back(std::move(layer));
    in = out;
  }
  if (c10::GradMode::is_enabled() || !layers_.front().weight.is_cpu()) return;
  for (Layer& layer : layers_) {
    layer.products = products_of(layer.weight, layer.stride);
    for (Product& product : layer.products) {
      if (layer.weight.size(1) > 1) product.packed = PackedProduct::pack(product.matrix.t(), weights.arithmetic());
    }
    const std::optional<PackedProduct>& first_taps = layer.products.front().packed;
    if (first_taps && weights.arithmetic() == at::kFloat)
      layer.paired = PairedConv::pack(layer.weight, layer.stride, *first_taps);
    layer.shift = layer.bias;
  }
}

std::vector<ConvStem::Product> ConvStem::products_of(const at::Tensor& weight, std::int64_t stride) {
  std::vector<Product> products;
  const std::int64_t kernel = weight.size(2), step = weight.size(1) == 1 ? kernel : stride;
  for (std::int64_t tap = 0; tap < kernel; tap += step) {
    const at::Tensor taps = weight.narrow(2, tap, std::min(step, kernel - tap));  // [out, in, taps]
    const at::Tensor matrix = taps.permute({2, 1, 0}).reshape({-1, weight.size(0)}).contiguous();
    products.push_back({tap, matrix, {}});
  }
  return products;
}

// With X the samples under the kernel at each frame, mean and covariance over time: w X has mean w mean(X) and variance
// w cov(X) w^T. Both are taken of x - mean, so that nothing cancels.
ConvStem::Layer ConvStem::normed_first_layer(const at::Tensor& wave, double mean) const {
  const Layer& layer = layers_.front();
  const std::int64_t kernel = layer.kernel, frames = (wave.size(0) - kernel) / layer.stride + 1;
  constexpr std::int64_t kChunk = 1 << 16;
  at::Tensor sums = at::zeros({kernel}, at::kDouble), squares = at::zeros({kernel, kernel}, at::kDouble);
  for (std::int64_t first = 0; first < frames; first += kChunk) {
    const std::int64_t count = std::min(kChunk, frames - first);
    const at::Tensor part =
        wave.narrow(0, first * layer.stride, (count - 1) * layer.stride + kernel).to(at::kDouble).sub(mean);
    const at::Tensor windows = part.unfold(0, kernel, layer.stride).contiguous();  // [count, kernel]
    sums += windows.sum(0);
    squares += windows.t().mm(windows);
  }
  const at::Tensor average = sums / frames, covariance = squares / frames - at::outer(average, average);
  const at::Tensor weight = layer.weight.to(at::kDouble).squeeze(1);  // [out, kernel]
  const at::Tensor variance = (weight.mm(covariance) * weight).sum(1).clamp_min(0.0);
  const at::Tensor scale = layer.group_weight.to(at::kDouble) / (variance + kStemEps).sqrt();
  const at::Tensor scaled = weight * scale.unsqueeze(1);
  Layer normed;
  normed.kernel = kernel;
  normed.stride = layer.stride;
  normed.products = products_of(scaled.to(wave.scalar_type()).unsqueeze(1), layer.stride);
  normed.shift = (layer.group_bias.to(at::kDouble) - scaled.mv(average)).to(wave.scalar_type());
  return normed;
}

void ConvStem::convolve(const Layer& layer, const Rows& input, std::int64_t first, at::Tensor out) {
  if (input.values.size(1) == 1 && out.scalar_type() == at::kFloat) {
    const float* samples = input.values.const_data_ptr<float>() + first * layer.stride - input.first;
    convolve_samples(samples, layer.stride, layer.products.front().matrix.const_data_ptr<float>(), layer.kernel,
                     layer.shift.defined() ? layer.shift.const_data_ptr<float>() : nullptr, out.size(0), out.size(1),
                     out.mutable_data_ptr<float>());
  } else {
    multiply(layer, input, first, out);
  }
  if (layer.norm) {
    at::gelu_out(out, (*layer.norm)(out));
  } else {
    at::gelu_(out);
  }
}

void ConvStem::multiply(const Layer& layer, const Rows& input, std::int64_t first, at::Tensor out) {
  if (layer.paired && out.size(0) > 1) {
    const std::int64_t even = out.size(0) / 2 * 2, offset = first * layer.stride - input.first;
    layer.paired->consume(input.values.narrow(0, offset, even * layer.stride + 1), layer.shift, out.narrow(0, 0, even));
    if (even == out.size(0)) return;
    first += even;
    out = out.narrow(0, even, 1);
  }
  const std::int64_t width = input.values.size(1), rows = out.size(0);
  bool begun = layer.shift.defined();
  if (begun) out.copy_(layer.shift.expand_as(out));
  for (const Product& product : layer.products) {
    // Row t of this matrix is the input's rows t * stride + first_tap and those after it, which lie behind each other.
    const std::int64_t offset = (first * layer.stride + product.first_tap - input.first) * width;
    const at::Tensor windows = input.values.as_strided({rows, product.matrix.size(0)}, {layer.stride * width, 1},
                                                       input.values.storage_offset() + offset);
    if (product.packed) {
      begun ? product.packed->add_to(out, windows) : product.packed->write(out, windows);
    } else if (begun) {
      out.addmm_(width == 1 ? windows.contiguous() : windows, product.matrix);
    } else {
      at::mm_out(out, width == 1 ? windows.contiguous() : windows, product.matrix);
    }
    begun = true;
  }
}

void ConvStem::segment(const Layer& first_layer, const at::Tensor& wave, std::int64_t first, at::Tensor out) const {
  // Which frames of each layer this takes, from the last layer back.
  std::vector<Rows> needed(layers_.size());
  needed.back() = {first, first + out.size(0), out};
  for (std::size_t l = layers_.size() - 1; l > 0; --l) {
    needed[l - 1].first = needed[l].first * layers_[l].stride;
    needed[l - 1].last = (needed[l].last - 1) * layers_[l].stride + layers_[l].kernel;
  }
  const Rows samples{0, wave.size(0), wave.unsqueeze(1)};
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    // The first layer's frames, the most by far, are only made when the second needs them.
    if (l == 0 && layers_.size() > 1) continue;
    const std::int64_t width = layers_[l].weight.size(0);
    if (l + 1 < layers_.size()) needed[l].values = at::empty({needed[l].last - needed[l].first, width}, wave.options());
    for (std::int64_t t = needed[l].first; t < needed[l].last; t += kBlockFrames) {
      const std::int64_t count = std::min(kBlockFrames, needed[l].last - t);
      const at::Tensor block = needed[l].values.narrow(0, t - needed[l].first, count);
      if (l == 0) {
        convolve(first_layer, samples, t, block);
      } else if (l == 1) {
        Rows input{t * layers_[1].stride, (t + count - 1) * layers_[1].stride + layers_[1].kernel, {}};
        input.values = at::empty({input.last - input.first, layers_[0].weight.size(0)}, wave.options());
        convolve(first_layer, samples, input.first, input.values);
        convolve(layers_[1], input, t, block);
      } else {
        convolve(layers_[l], needed[l - 1], t, block);
      }
    }
    if (l > 1) needed[l - 1].values.reset();
  }
}

at::Tensor ConvStem::operator()(const at::Tensor& wave) const {
  if (!wave.is_cpu()) return plain(wave);
  if (c10::GradMode::is_enabled() || layers_.front().products.empty()) return differentiable(wave);
  std::int64_t frames = wave.size(0);
  for (const Layer& layer : layers_) frames = (frames - layer.kernel) / layer.stride + 1;
  const at::Tensor out = at::empty({frames, layers_.back().weight.size(0)}, wave.options());
  const bool grouped = layers_.front().group_weight.defined();
  const double mean = grouped ? wave.mean(at::kDouble).item<double>() : 0.0;
  const at::Tensor input = grouped ? wave.to(at::kDouble).sub(mean).to(wave.scalar_type()) : wave.contiguous();
  const Layer first_layer = grouped ? normed_first_layer(wave, mean) : layers_.front();
  for (std::int64_t t = 0; t < frames; t += kSegmentFrames) {
    segment(first_layer, input, t, out.narrow(0, t, std::min(kSegmentFrames, frames - t)));
  }
  return out;
}

at::Tensor ConvStem::first_frames(const at::Tensor& wave) const {
  const Layer& layer = layers_.front();
  if (!layer.group_weight.defined()) {
    const at::Tensor matrix = layer.weight.squeeze(1).t();
    const at::Tensor shift = layer.bias.defined() ? layer.bias : at::zeros({layer.weight.size(0)}, wave.options());
    return convolve_wave(wave.contiguous(), matrix, shift, layer.stride);
  }
  const double mean = wave.mean(at::kDouble).item<double>();
  const Layer normed = normed_first_layer(wave, mean);
  const at::Tensor input = wave.to(at::kDouble).sub(mean).to(wave.scalar_type());
  return convolve_wave(input, normed.products.front().matrix, normed.shift, layer.stride);
}

at::Tensor ConvStem::differentiable(const at::Tensor& wave) const {
  at::Tensor x;
  for (const Layer& layer : layers_) {
    if (!x.defined()) {
      x = first_frames(wave);
    } else {
      x = convolve_frames(x, layer.weight, layer.stride);
      if (layer.bias.defined()) x = x.add(layer.bias);
    }
    if (layer.norm) x = (*layer.norm)(x);
    x = gelu(std::move(x));
  }
  return x;
}

at::Tensor ConvStem::plain(const at::Tensor& wave) const {
  at::Tensor x = wave.reshape({1, 1, -1});
  for (const Layer& layer : layers_) {
    x = at::conv1d(x, layer.weight, layer.bias, layer.stride);
    if (layer.group_weight.defined()) x = at::group_norm(x, x.size(1), layer.group_weight, layer.group_bias, kStemEps);
    if (layer.norm) x = (*layer.norm)(x.transpose(1, 2)).transpose(1, 2);
    x = at::gelu(x);
  }
  return x.squeeze(0).t().contiguous();
}

std::int64_t stem_frames(const EncoderConfig& config, std::int64_t samples) {
  for (std::size_t i = 0; i < config.conv_kernel.size(); ++i) {
    samples = samples < config.conv_kernel[i] ? 0 : (samples - config.conv_kernel[i]) / config.conv_stride[i] + 1;
  }
  return samples;
}

std::int64_t stem_hop(const EncoderConfig& config) {
  std::int64_t hop = 1;
  for (const std::int64_t stride : config.conv_stride) hop *= stride;
  return hop;
}

std::int64_t stem_receptive_field(const EncoderConfig& config) {
  std::int64_t field = 1;
  for (std::size_t i = config.conv_kernel.size(); i-- > 0;)
    field = (field - 1) * config.conv_stride[i] + config.conv_kernel[i];
  return field;
}

}  // namespace strata

#include "tests/core/upstreams/random_model.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/file.h"

namespace strata {
namespace {

// fairseq's rate changes (r0, r1), up to three resolutions.
const std::vector<std::vector<std::int64_t>> kRatios = {{1, 2}, {1, 1}, {2, 3}, {1, 3}, {1, 2, 1, 2}, {1, 2, 2, 3}};

}  // namespace

RandomModel::RandomModel(const std::string& family, std::uint64_t seed, Size size) : random_({seed, key_of(family)}) {
  choose_stem();
  choose_sizes();
  if (size == Size::kWide) widen(seed);
  config_ = {{"conv_dim", dims_}, {"conv_kernel", kernels_}, {"conv_stride", strides_}, {"conv_bias", bias_}};
  if (family == "mr-hubert") {
    multi_resolution();
  } else {
    speech(family);
  }
}

std::vector<std::string> RandomModel::families() {
  return {"data2vec-audio", "hubert", "mr-hubert", "wav2vec2", "wavlm"};
}

std::int64_t RandomModel::between(std::int64_t lowest, std::int64_t highest) {
  return lowest + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(highest - lowest + 1)));
}

// Half of the time the one of all published models; otherwise any whose frames are not too many to compute here.
void RandomModel::choose_stem() {
  kernels_ = {10, 3, 3, 3, 3, 2, 2};
  strides_ = {5, 2, 2, 2, 2, 2, 2};
  if (maybe()) {
    for (std::int64_t hop = 0; hop < 100 || hop > 800;) {
      kernels_.clear();
      strides_.clear();
      hop = 1;
      for (std::int64_t i = between(1, 6); i >= 0; --i) {
        strides_.push_back(between(1, 6));
        kernels_.push_back(between(1, 10));
        hop *= strides_.back();
      }
    }
  }
  for (std::size_t i = 0; i < kernels_.size(); ++i) dims_.push_back(between(1, 9));
  bias_ = maybe();
  layer_stem_ = maybe();
}

void RandomModel::choose_sizes() {
  heads_ = between(1, 4);
  width_ = heads_ * 4 * between(1, 2);
  inner_ = between(1, 20);
  groups_ = one_of({1, 2, 4});  // divides the width
  position_ = between(1, 20);
  pre_norm_ = maybe();
}

void RandomModel::widen(std::uint64_t seed) {
  kernels_ = {10, 3, 3, 3, 3, 2, 2};
  strides_ = {5, 2, 2, 2, 2, 2, 2};
  dims_.assign(kernels_.size(), 64);
  layer_stem_ = seed % 2 == 1;
  heads_ = one_of({2, 4});
  width_ = one_of({64, 96, 128});
  inner_ = between(64, 256);
  position_ = between(1, 64);
}

void RandomModel::weight(const std::string& name, const std::vector<std::int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  std::int64_t fan_in = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    tensor.mutable_data_ptr<float>()[i] = static_cast<float>(1.5 * random_.normal() / std::sqrt(fan_in));
  weights_[name] = tensor;
}

void RandomModel::affine(const std::string& name, std::int64_t width) {
  weight(name + ".weight", {width});
  weight(name + ".bias", {width});
}

void RandomModel::linear(const std::string& name, std::int64_t in, std::int64_t out) {
  weight(name + ".weight", {out, in});
  weight(name + ".bias", {out});
}

// The names take the number of the layer; the group norm has that of layer 0.
void RandomModel::stem(const std::string& conv, const std::string& group_norm, const std::string& layer_norm) {
  std::int64_t in = 1;
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    const std::string name = fmt::format(fmt::runtime(conv), i);
    weight(name + ".weight", {dims_[i], in, kernels_[i]});
    if (bias_) weight(name + ".bias", {dims_[i]});
    if (layer_stem_ || i == 0) affine(fmt::format(fmt::runtime(layer_stem_ ? layer_norm : group_norm), i), dims_[i]);
    in = dims_[i];
  }
}

void RandomModel::speech(const std::string& family) {
  const bool data2vec = family == "data2vec-audio", hubert = family == "hubert", wavlm = family == "wavlm";
  const std::int64_t layers = between(1, 4);
  const bool batch_norm = hubert && maybe(), projection_norm = !hubert || maybe();
  if (data2vec) {
    layer_stem_ = true;
    pre_norm_ = false;
    config_["conv_pos_kernel_size"] = position_;
    position_ = between(1, 4);
  } else {
    config_["feat_extract_norm"] = layer_stem_ ? "layer" : "group";
    config_["do_stable_layer_norm"] = pre_norm_;
  }
  config_.update({{"model_type", family},
                  {"hidden_size", width_},
                  {"num_hidden_layers", layers},
                  {"num_attention_heads", heads_},
                  {"intermediate_size", inner_},
                  {"num_conv_pos_embeddings", position_},
                  {"num_conv_pos_embedding_groups", groups_},
                  {"layer_norm_eps", maybe() ? 1e-5 : 1e-3}});
  if (hubert) config_.update({{"conv_pos_batch_norm", batch_norm}, {"feat_proj_layer_norm", projection_norm}});
  const std::int64_t buckets = 4 * between(2, 20);
  if (wavlm) config_.update({{"num_buckets", buckets}, {"max_bucket_distance", buckets / 4 + between(1, 100)}});

  stem("feature_extractor.conv_layers.{}.conv", "feature_extractor.conv_layers.{}.layer_norm",
       "feature_extractor.conv_layers.{}.layer_norm");
  if (projection_norm) affine("feature_projection.layer_norm", dims_.back());
  linear("feature_projection.projection", dims_.back(), width_);
  const std::string conv = "encoder.pos_conv_embed.conv.";
  for (std::int64_t i = 0; data2vec && i < position_; ++i) {
    const std::string block = fmt::format("encoder.pos_conv_embed.layers.{}.conv.", i);
    weight(block + "weight", {width_, width_ / groups_, config_["conv_pos_kernel_size"]});
    weight(block + "bias", {width_});
  }
  if (!data2vec) weight(conv + "bias", {width_});
  if (batch_norm) {
    weight(conv + "weight", {width_, width_ / groups_, position_});
    affine("encoder.pos_conv_embed.batch_norm", width_);
    weight("encoder.pos_conv_embed.batch_norm.running_mean", {width_});
    weights_["encoder.pos_conv_embed.batch_norm.running_var"] = at::linspace(0.5, 2, width_);
  } else if (!data2vec) {
    weight(conv + "parametrizations.weight.original0", {1, 1, position_});
    weight(conv + "parametrizations.weight.original1", {width_, width_ / groups_, position_});
  }
  affine("encoder.layer_norm", width_);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string layer = fmt::format("encoder.layers.{}.", i);
    for (const char* part : {"q", "k", "v", "out"}) linear(layer + "attention." + part + "_proj", width_, width_);
    affine(layer + "layer_norm", width_);
    affine(layer + "final_layer_norm", width_);
    linear(layer + "feed_forward.intermediate_dense", width_, inner_);
    linear(layer + "feed_forward.output_dense", inner_, width_);
    if (!wavlm) continue;
    weight(layer + "attention.gru_rel_pos_const", {1, heads_, 1, 1});
    linear(layer + "attention.gru_rel_pos_linear", width_ / heads_, 8);
    if (i == 0) weight(layer + "attention.rel_attn_embed.weight", {buckets, heads_});
  }
}

void RandomModel::multi_resolution() {
  const std::vector<std::int64_t> ratios = kRatios[between(0, kRatios.size() - 1)];
  const std::int64_t changes = static_cast<std::int64_t>(ratios.size()) / 2, kernel = one_of({1, 3, 5, 7});
  bool plain = maybe();
  for (std::int64_t i = 0; i < changes; ++i) plain = plain && ratios[2 * i] == 1;
  std::vector<std::int64_t> layers;
  std::string list;
  for (std::int64_t i = 0; i < 2 * changes + 1; ++i) {
    layers.push_back(between(1, 3));
    list += fmt::format("{}{}", i ? "," : "", layers.back());
  }
  config_.update({{"model_type", "mr-hubert"},
                  {"encoder_embed_dim", width_},
                  {"encoder_ffn_embed_dim", inner_},
                  {"encoder_attention_heads", heads_},
                  {"layer_norm_first", pre_norm_},
                  {"conv_pos", position_},
                  {"extractor_mode", layer_stem_ ? "layer_norm" : "default"},
                  {"conv_pos_groups", groups_},
                  {"label_rate_ratios", ratios},
                  {"override_encoder_layers", "[" + list + "]"},
                  {"encoder_layers", 1},
                  {"use_plain_updownsample", plain},
                  {"normalize", maybe()}});
  if (maybe()) config_["conv_adapator_kernal"] = kernel;

  stem("feature_extractor.conv_layers.{}.0", "feature_extractor.conv_layers.{}.2",
       "feature_extractor.conv_layers.{}.2.1");
  affine("layer_norm", dims_.back());
  linear("post_extract_proj", dims_.back(), width_);
  weight("encoders.0.pos_conv.0.weight_g", {1, 1, position_});
  weight("encoders.0.pos_conv.0.weight_v", {width_, width_ / groups_, position_});
  weight("encoders.0.pos_conv.0.bias", {width_});
  const auto block = [&](const std::string& name, std::int64_t count) {
    affine(name + ".layer_norm", width_);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string layer = fmt::format("{}.layers.{}.", name, i);
      for (const char* part : {"q", "k", "v", "out"}) linear(layer + "self_attn." + part + "_proj", width_, width_);
      affine(layer + "self_attn_layer_norm", width_);
      affine(layer + "final_layer_norm", width_);
      linear(layer + "fc1", width_, inner_);
      linear(layer + "fc2", inner_, width_);
    }
  };
  const auto adapter = [&](const std::string& name, bool up, bool down) {
    for (const auto& [half, there] : {std::pair{"upsample_conv", up}, {"downsample_conv", down}}) {
      if (!there) continue;
      weight(fmt::format("{}.{}.0.weight", name, half), {width_, width_, kernel});
      affine(fmt::format("{}.{}.2", name, half), width_);
    }
  };
  block("middle_encoder", layers[changes]);
  for (std::int64_t i = 0; i < changes; ++i) {
    block(fmt::format("encoders.{}", i), layers[i]);
    block(fmt::format("decoders.{}", i), layers[2 * changes - i]);
    adapter(fmt::format("downsample_modules.{}", i), !plain, true);
    // Plain: one convolution upwards, unless the rate stays.
    adapter(fmt::format("upsample_modules.{}", i), !plain || ratios[2 * i + 1] != 1, !plain || ratios[2 * i + 1] == 1);
  }
}

std::unique_ptr<Upstream> RandomModel::open(const Json& options, c10::Device device) const {
  const fs::path folder = fs::path(testing::TempDir()) / "random_model";
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_file_atomically(folder / "config.json", config_.dump());
  write_safetensors(folder / "model.safetensors", weights_);
  return open_upstream(folder.string(), {"", "", device}, FieldReader(options, "study.json", "/upstreams/a"));
}

at::Tensor random_wave(std::int64_t samples, std::uint64_t seed, at::ScalarType dtype) {
  RandomStream random({seed, static_cast<std::uint64_t>(samples)});
  at::Tensor wave = at::empty({samples}, at::kFloat);
  for (std::int64_t i = 0; i < samples; ++i)
    wave.mutable_data_ptr<float>()[i] = static_cast<float>(0.1 * random.normal() + 0.02);
  return wave.to(dtype);
}

}  // namespace strata

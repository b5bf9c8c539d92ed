#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/config/json.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/upstream.h"

namespace strata {

/// A small model of a family with random sizes, switches and weights, all from the seed: what a reader of config.json
/// must cope with, one combination after the other.
class RandomModel {
 public:
  /// kSmall: of few channels, whatever is allowed. kWide: at least 64 channels and the stem of published models, so
  /// that the kernels for real sizes (packed products, paired convolutions) compute it; seeds take group and layer stem
  /// in turn.
  enum class Size { kSmall, kWide };

  RandomModel(const std::string& family, std::uint64_t seed, Size size = Size::kSmall);

  /// Writes it as a folder and opens that.
  std::unique_ptr<Upstream> open(const Json& options = Json::object(), c10::Device device = c10::kCPU) const;

  /// Kernels and strides of the stem.
  const std::vector<std::int64_t>& kernels() const { return kernels_; }
  const std::vector<std::int64_t>& strides() const { return strides_; }
  const Json& config() const { return config_; }

  /// The families that it can make.
  static std::vector<std::string> families();

 private:
  std::int64_t between(std::int64_t lowest, std::int64_t highest);
  bool maybe() { return between(0, 1) == 1; }
  std::int64_t one_of(const std::vector<std::int64_t>& values) { return values[between(0, values.size() - 1)]; }

  void choose_stem();
  void choose_sizes();
  void widen(std::uint64_t seed);
  void speech(const std::string& family);
  void multi_resolution();

  void weight(const std::string& name, const std::vector<std::int64_t>& shape);
  void affine(const std::string& name, std::int64_t width);
  void linear(const std::string& name, std::int64_t in, std::int64_t out);
  void stem(const std::string& conv, const std::string& group_norm, const std::string& layer_norm);

  RandomStream random_;
  Json config_;
  NamedTensors weights_;
  std::vector<std::int64_t> dims_, kernels_, strides_;
  bool layer_stem_ = false, bias_ = false, pre_norm_ = false;
  std::int64_t width_ = 0, heads_ = 0, inner_ = 0, groups_ = 0, position_ = 0;
};

/// `samples` of a wave that sounds like nothing, from the seed.
at::Tensor random_wave(std::int64_t samples, std::uint64_t seed, at::ScalarType dtype = at::kFloat);

}  // namespace strata

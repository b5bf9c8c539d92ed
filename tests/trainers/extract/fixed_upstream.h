#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/upstreams/upstream.h"

namespace strata {

/// An upstream whose taps "a", "b", .. all hold what the test says, whatever the wave.
class FixedUpstream : public Upstream {
 public:
  ///   values  [T, D]
  explicit FixedUpstream(at::Tensor values) : given([values] { return values; }), exact(given), whole(given) {
    for (const char* name : {"a", "b"}) spec_.taps.push_back({name, values.size(1), 320});
    spec_.receptive_field_samples = 1;
  }

  std::function<at::Tensor()> given, exact, whole;  // what `forward`, `forward_exact` and `forward_whole` give
  std::string arithmetic = "float32";
  bool windows = false;

  const FeatureSpec& spec() const override { return spec_; }
  std::vector<std::string> default_taps() const override { return {"a", "b"}; }
  std::int64_t minimum_samples() const override { return 1; }
  std::int64_t frames(std::size_t, std::int64_t) const override { return given().size(0); }
  std::string compute() const override { return arithmetic; }
  std::string fingerprint() const override { return "fixed"; }
  bool in_windows(std::int64_t) const override { return windows; }
  std::vector<at::Tensor> forward(const at::Tensor&, const std::vector<std::size_t>& taps) const override {
    return std::vector<at::Tensor>(taps.size(), given());
  }
  std::vector<at::Tensor> forward_exact(const at::Tensor&, const std::vector<std::size_t>& taps) const override {
    return std::vector<at::Tensor>(taps.size(), exact());
  }
  std::vector<at::Tensor> forward_whole(const at::Tensor&, const std::vector<std::size_t>& taps) const override {
    return std::vector<at::Tensor>(taps.size(), whole());
  }

 private:
  FeatureSpec spec_;
};

}  // namespace strata

#include "core/upstreams/speech_encoder.h"

#include <fmt/format.h>

namespace strata {

SpeechEncoder::SpeechEncoder(const EncoderConfig& c, const WeightReader& weights)
    : stem_(c, weights.scope("feature_extractor")),
      projection_(c.conv_dim.back(), c.hidden_size, weights.scope("feature_projection.projection")),
      encoder_(c, weights.scope("encoder")) {
  if (c.feat_proj_layer_norm) {
    projection_norm_.emplace(c.conv_dim.back(), c.layer_norm_eps, weights.scope("feature_projection.layer_norm"));
  }
}

void SpeechEncoder::operator()(const at::Tensor& frames, TapCollector& taps) const {
  const at::Tensor x = project(frames);
  taps.offer("proj", x);
  if (!taps.complete()) encode(x, taps);
}

at::Tensor SpeechEncoder::project(const at::Tensor& frames) const {
  return projection_(projection_norm_ ? (*projection_norm_)(frames) : frames).to(frames.scalar_type());
}

FeatureSpec encoder_spec(const EncoderConfig& c) {
  const std::int64_t hop = stem_hop(c);
  FeatureSpec spec{{}, stem_receptive_field(c)};
  for (std::int64_t i = 0; i <= c.num_hidden_layers; ++i)
    spec.taps.push_back({fmt::format("h{}", i), c.hidden_size, hop});
  if (c.do_stable_layer_norm) spec.taps.push_back({fmt::format("h{}_raw", c.num_hidden_layers), c.hidden_size, hop});
  spec.taps.push_back({"conv", c.conv_dim.back(), hop});
  for (const char* name : {"proj", "pos"}) spec.taps.push_back({name, c.hidden_size, hop});
  return spec;
}

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "core/pretraining/dropout.h"
#include "core/pretraining/model_sizes.h"
#include "core/pretraining/objective.h"
#include "core/pretraining/trainable.h"
#include "core/upstreams/preprocessing.h"
#include "core/upstreams/tap_collector.h"

namespace strata {

/// An utterance on its way through an encoder that is trained.
struct MaskedEncoding {
  at::Tensor frames;               // [T, C] of the stem
  at::Tensor projected;            // [T, D] before the mask
  std::vector<at::Tensor> states;  // after it, in the order that the taps were asked for
};

/// The utterance through a SpeechEncoder or an MrEncoder, with `embedding` [D] in place of the frames `masked`.
template <class Encoder>
MaskedEncoding encode_masked(const Encoder& encoder, const ModelSizes& sizes, const WaveNorm& norm, TapCollector taps,
                             const PretrainUtterance& utterance, const Pass& pass,
                             const std::vector<std::int64_t>& masked, const at::Tensor& embedding) {
  MaskedEncoding result;
  result.frames = scale_gradient(unlowered(encoder.stem(normalize_wave(utterance.wave, norm))), sizes.feature_gradient);
  result.projected = unlowered(encoder.project(result.frames));
  encoder.encode(mask_frames(result.projected, index_tensor(masked, result.projected), embedding), taps,
                 keyed_dropout(sizes.dropout, pass, utterance.key));
  result.states = std::move(taps).states();
  for (at::Tensor& state : result.states) state = unlowered(state);
  return result;
}

}  // namespace strata

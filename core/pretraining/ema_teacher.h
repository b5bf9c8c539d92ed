#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "core/config/fields.h"
#include "core/tensor/parameters.h"
#include "core/tensor/safetensors.h"
#include "core/upstreams/transformer_encoder.h"

namespace strata {

/// How fast the teacher follows: after update n of the student, teacher = d teacher + (1 - d) student, with d going in
/// a straight line from `decay` to `end_decay` over the first `anneal_steps` updates (fairseq's get_annealed_rate).
struct EmaOptions {
  double decay = 0.999;
  double end_decay = 0.9999;
  std::int64_t anneal_steps = 30000;

  void fields(Fields& f) {
    f.number("ema_decay", decay, "share that the teacher keeps of itself, at the start", between(0, 1));
    f.number("ema_end_decay", end_decay, "and at the end", between(0, 1));
    f.number("ema_anneal_steps", anneal_steps, "updates from the one to the other", at_least(0));
  }

  double at(std::uint64_t step) const;
};

/// data2vec's teacher: a moving average of the student's `encoder.layers` and `encoder.layer_norm`, with the student's
/// own positional convolution (fairseq's `ema_layers_only`); stem and projection are the student's, who hands over what
/// they made. Computes without gradients and without dropout.
class EmaTeacher {
 public:
  EmaTeacher(const EncoderConfig& config, const EmaOptions& options) : config_(config), options_(options) {}

  /// Becomes a copy of the student.
  void start(const Parameters& student);
  /// Follows the student's update `step`, counted from 1.
  void follow(const Parameters& student, std::uint64_t step);

  /// The outputs of the feed forward parts of its last `layers` layers, before their residual: what fairseq's
  /// layer_results hold.
  ///   projected  [T, D]
  /// Throws InternalError before `start` or `load_state`.
  std::vector<at::Tensor> feed_forward_outputs(const at::Tensor& projected, std::int64_t layers) const;

  /// Its tensors by the student's names.
  const NamedTensors& state() const { return tensors_; }
  void load_state(const NamedTensors& state);

 private:
  static bool holds(const std::string& name);
  void bind();

  EncoderConfig config_;
  EmaOptions options_;
  NamedTensors tensors_;
  std::unique_ptr<const TransformerEncoder> encoder_;
};

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/fusions/fusion.h"
#include "core/heads/head.h"
#include "core/interfaces/interface.h"
#include "core/tensor/parameters.h"

namespace strata {

/// The parts of a model as a resolved study names them: objects with `type` and the options of that variant.
/// `interface` is made once per upstream, `head` as often as the fusion needs it.
struct ModelParts {
  FieldReader interface;
  FieldReader fusion;
  FieldReader head;
};

/// Everything that is trained of a trial: an interface per upstream (none where the fusion mixes the layers itself), a
/// fusion, heads. Immutable after construction and thread-safe; parameters are given to `forward`.
class Model {
 public:
  ///   upstreams  layers and width of each, in the study's order
  ///   parts      `interface` is not looked at where the fusion mixes the layers itself
  ///   classes    C: classes, or symbols with the blank
  /// Throws ConfigError: a part or an option that is not known (file, path), or "not applicable: .." for parts that do
  /// not fit the upstreams.
  Model(const ModelParts& parts, const std::vector<InterfaceInput>& upstreams, std::int64_t classes);

  /// All trained tensors in the order of the flat buffer: "interface.<i>.*" per upstream, "fusion.*", then "head.*"
  /// ("head.<j>.*" if there are several).
  std::vector<ParameterSpec> parameters() const;

  /// Tensors that interfaces have fitted to the training frames before training (Interface::fitted): "interface.<i>.*".
  std::vector<ParameterSpec> fitted() const;

  ///   parameters  as `parameters()` and `fitted()` declare them, such as view_parameters(parameters(), flat)
  ///   features    per upstream [B, T, L_i, D_i], aligned in time; frames past lengths[b] may hold any finite value
  ///   lengths     [B] int64, valid frames, 1 <= lengths[b] <= T
  ///   returns     logits as `output()` says
  /// Throws ShapeError if the features do not fit the upstreams the model was made for.
  at::Tensor forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                     const at::Tensor& lengths) const;

  /// As `forward`, with the heads' dropout drawn from a key per utterance; each head draws its own.
  at::Tensor forward_in_training(const Parameters& parameters, const std::vector<at::Tensor>& features,
                                 const at::Tensor& lengths, const UtteranceKeys& keys) const;

  /// The fusion's parts with these parameters, as `forward` gives them to it: to look at what passes between them.
  FusionParts parts(const Parameters& parameters, const at::Tensor& lengths) const;

  /// The convex weights that interfaces and fusion learn, as they are now: "interface.<i>.layer_weights",
  /// "fusion.model_weights", "fusion.<i>.layer_weights".
  Parameters mixing_weights(const Parameters& parameters) const;

  /// Trained numbers by part: {"interface", "fusion", "head"}.
  std::map<std::string, std::int64_t> parameter_counts() const;

  HeadOutput output() const { return heads_[0]->output(); }

  /// Valid frames of frame logits, [B] int64, for features of `lengths`.
  at::Tensor output_lengths(const at::Tensor& lengths) const { return heads_[0]->output_lengths(lengths); }

  /// True if the logits depend on the features' means over valid frames alone: the same forward on [B, 1, L, D] of
  /// means then gives the same logits, up to rounding.
  bool uses_time_means_only() const;

  const std::vector<std::unique_ptr<Interface>>& interfaces() const { return interfaces_; }
  const Fusion& fusion() const { return *fusion_; }

 private:
  std::string head_prefix(std::size_t j) const;
  FusionParts parts(const Parameters& parameters, const at::Tensor& lengths, const UtteranceKeys* keys) const;
  at::Tensor run(const Parameters& parameters, const std::vector<at::Tensor>& features, const at::Tensor& lengths,
                 const UtteranceKeys* keys) const;
  void check(const std::vector<at::Tensor>& features, const at::Tensor& lengths) const;

  std::size_t upstreams_;
  std::vector<std::unique_ptr<Interface>> interfaces_;  // one per upstream, or none
  std::unique_ptr<Fusion> fusion_;
  std::vector<std::unique_ptr<Head>> heads_;
};

}  // namespace strata

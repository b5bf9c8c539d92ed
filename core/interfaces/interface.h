#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/parameters.h"

namespace strata {

/// What an interface is built for: L layers of width D.
struct InterfaceInput {
  std::int64_t layers = 0;
  std::int64_t width = 0;
};

/// The features that `input` describes, normalised if asked for: x <- (x - mean_D) / sqrt(var_D + 1e-5) per frame and
/// layer (biased variance, no affine). 16-bit features come back as float32, unless they are only to be passed on
/// (`as_stored`) and are not normalised.
///   features  [B, T, L, D]
/// Throws ShapeError (both shapes) if L or D differ.
at::Tensor layers_as_read(const at::Tensor& features, const InterfaceInput& input, bool normalize,
                          bool as_stored = false);

/// 16-bit features as float32, others as they are.
at::Tensor computable(const at::Tensor& features);

/// One pass over the training frames that settles what an interface does not learn by gradients. Ranks each add their
/// frames, then sum their `sums()` elementwise; then any of them has the result of all frames. Not thread-safe.
class InterfaceFit {
 public:
  virtual ~InterfaceFit() = default;
  ///   frames  [N, L, D], valid frames only
  virtual void add(const at::Tensor& frames) = 0;
  /// The state, which is additive: contiguous float64 vector, to be summed in place.
  virtual at::Tensor& sums() = 0;
  /// The tensors that `Interface::fitted()` declares, float64. Throws DataError if the frames are too few.
  virtual Parameters result() const = 0;
};

/// Reads the layers of a frozen upstream: [B, T, L, D] -> [B, T, H], every frame by itself.
/// Interfaces are immutable after construction and thread-safe; parameters are given to `forward`. Several trials as
/// one computation: see Note [Banks] in core/tensor/parameters.h.
class Interface {
 public:
  static constexpr const char* kKind = "interface";

  Interface(InterfaceInput input, bool normalize) : input_(input), normalize_(normalize) {}
  virtual ~Interface() = default;

  /// H.
  virtual std::int64_t output_width() const = 0;

  /// Trainable tensors, in the order of the flat buffer.
  virtual std::vector<ParameterSpec> parameters() const { return {}; }

  /// Tensors that are fitted to the training frames before training and then stay: `forward` finds them among its
  /// parameters, they are saved with them, but are no part of the flat buffer.
  virtual std::vector<ParameterSpec> fitted() const { return {}; }
  /// Begins the pass that fits them; nullptr if there are none.
  ///   sample  [N, L, D], N >= 1: some frames that every rank has alike, about which sums are kept
  virtual std::unique_ptr<InterfaceFit> begin_fit(const at::Tensor&) const { return nullptr; }

  /// True if the output is affine in the features of a frame, so that a time mean can be taken before it. With
  /// `normalizes()` that is a mean of the normalised features.
  virtual bool affine_per_frame() const = 0;

  /// The convex weights that it learns, by name, as they are now: "layer_weights" [L].
  virtual Parameters mixing_weights(const Parameters&) const { return {}; }

  ///   parameters  as `parameters()` and `fitted()` declare them
  ///   features    [B, T, L, D] floating point, 16-bit types too; frames past lengths[b] may hold any finite value
  ///   returns     [B, T, H]; frames past an utterance's length hold what the formula gives there
  /// With `normalize`, the layer norm of `layers_as_read` comes first. Throws ShapeError (both shapes) if L or D differ
  /// from the input the interface was built for.
  at::Tensor forward(const Parameters& parameters, const at::Tensor& features) const;

  const InterfaceInput& input() const { return input_; }
  bool normalizes() const { return normalize_; }

 protected:
  /// True if `apply` takes features of 16-bit types as they are, so that no float32 copy of all layers is made.
  virtual bool reads_stored_types() const { return false; }

  /// The output for features of the right shape, normalised if asked for.
  virtual at::Tensor apply(const Parameters& parameters, const at::Tensor& features) const = 0;

 private:
  InterfaceInput input_;
  bool normalize_;
};

/// Options that every interface takes; its own come after. `taps` is used by whoever reads the store: the interface
/// itself is built for the layers that remain.
struct InterfaceOptions {
  bool normalize = false;
  std::vector<std::string> taps;
  void fields(Fields& f) {
    f.flag("normalize", normalize, "layer norm without affine, per frame and layer, before anything else");
    f.texts("taps", taps, "names of the taps it reads, in order; empty: all of the upstream's list");
  }
};

using InterfaceRegistry = Registry<Interface, InterfaceInput>;

#define STRATA_REGISTER_INTERFACE(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =        \
      ::strata::InterfaceRegistry::add_variant<Options, Class>(name, summary)

}  // namespace strata

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

/// Reads the layers of a frozen upstream: [B, T, L, D] -> [B, T, H], every frame by itself.
/// Interfaces are immutable after construction and thread-safe; parameters are given to `forward`.
class Interface {
 public:
  static constexpr const char* kKind = "interface";

  Interface(InterfaceInput input, bool normalize) : input_(input), normalize_(normalize) {}
  virtual ~Interface() = default;

  /// H.
  virtual std::int64_t output_width() const = 0;

  /// Trainable tensors, in the order of the flat buffer.
  virtual std::vector<ParameterSpec> parameters() const { return {}; }

  /// True if the output is affine in the features of a frame, so that a time mean can be taken before it. With
  /// `normalizes()` that is a mean of the normalised features.
  virtual bool affine_per_frame() const = 0;

  ///   parameters  as `parameters()` declares them
  ///   features    [B, T, L, D] floating point; frames past lengths[b] may hold any finite value
  ///   returns     [B, T, H]; frames past an utterance's length hold what the formula gives there
  /// With `normalize`, x <- (x - mean_D) / sqrt(var_D + 1e-5) per frame and layer (biased variance, no affine) comes
  /// first. Throws ShapeError (both shapes) if L or D differ from the input the interface was built for.
  at::Tensor forward(const Parameters& parameters, const at::Tensor& features) const;

  const InterfaceInput& input() const { return input_; }
  bool normalizes() const { return normalize_; }

 protected:
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

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/parameters.h"

namespace strata {

/// What a head is built for: width H in, C classes (or symbols, blank included) out.
struct HeadInput {
  std::int64_t width = 0;
  std::int64_t classes = 0;
};

/// The shape of a head's decision, which must be the one that the task's loss takes.
enum class HeadOutput {
  kUtteranceLogits,  // [B, C]
  kFrameLogits,      // [B, T, C], for CTC
};

/// A number for each utterance of a batch, made of (seed, trial, step, utterance): what random masks are drawn from.
using UtteranceKeys = std::vector<std::uint64_t>;

/// A task model on [B, T, H]. Immutable after construction and thread-safe; parameters are given to `forward`.
class Head {
 public:
  static constexpr const char* kKind = "head";
  virtual ~Head() = default;

  virtual HeadOutput output() const = 0;

  /// True if the logits depend on the mean of x over the valid frames alone, so that one mean stands for all frames.
  virtual bool uses_time_mean_only() const { return false; }

  virtual std::vector<ParameterSpec> parameters() const = 0;

  /// Valid frames of frame logits, [B] int64, for inputs of `lengths`: fewer if the head reduces its frame rate.
  virtual at::Tensor output_lengths(const at::Tensor& lengths) const { return lengths; }

  ///   x        [B, T, H] floating point; frames past lengths[b] may hold any finite value and change nothing
  ///   lengths  [B] int64, valid frames, 1 <= lengths[b] <= T
  ///   returns  logits as `output()` says; frame logits past an utterance's length are unspecified
  virtual at::Tensor forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor& lengths) const = 0;

  /// As `forward`, with dropout drawn from `keys` if the head has any.
  virtual at::Tensor forward_in_training(const Parameters& parameters, const at::Tensor& x, const at::Tensor& lengths,
                                         const UtteranceKeys&) const {
    return forward(parameters, x, lengths);
  }
};

using HeadRegistry = Registry<Head, HeadInput>;

#define STRATA_REGISTER_HEAD(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =   \
      ::strata::HeadRegistry::add_variant<Options, Class>(name, summary)

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "core/config/registry.h"
#include "core/tensor/parameters.h"
#include "core/tensor/safetensors.h"

namespace strata {

/// What an objective learns from: one utterance, alone, never padded.
struct PretrainUtterance {
  std::uint64_t key = 0;  // its part of the keys of all random numbers: from its id, not from its place in a batch
  at::Tensor wave;        // [samples] type and device of the parameters, 16 kHz, in [-1, 1], not normalised
  // [T] int64 in 0 .. classes - 1, on the CPU, one every `unit_hop_samples`; undefined where none are taken
  at::Tensor units;
};

/// The keys of a pass over an utterance. Masks and dropout are drawn from (seed, step, utterance) and from nothing
/// else.
struct Pass {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  // for validation a constant, so that its masks stay the same
  bool training = true;    // dropout; masks are drawn in either case
};

/// Sums over some utterances, to be added up over all utterances and the ranks of a step. The step's loss is the sum of
/// the losses over the sum of the weights.
struct ObjectiveSums {
  at::Tensor loss;               // scalar, with its graph
  double weight = 0.0;           // terms of the loss: masked frames
  double predicted = 0.0;        // frames whose unit was to be guessed; 0 where there are no units
  double correct = 0.0;          // of them
  double target_spread = 0;      // weight times the mean over the columns of the targets' standard deviation over time:
                                 // near 0 when a teacher has collapsed; 0 where there is no teacher
  double prediction_spread = 0;  // the same of what the student says there: near 0 when it says one thing of all frames

  void add(const ObjectiveSums& other);
};

/// How a speech model is trained without labels: its parameters, the loss of an utterance, and, where there is one, the
/// teacher. `forward` is const and thread-safe and computes with the calling thread's number of intra-op threads;
/// nothing may run beside `start`, `after_step` and `load_state`.
///
/// A run is: `start` (or `load_state`), then for each step `forward` and backward of the step's utterances, some at a
/// time, the optimizer's update, and `after_step`.
class Objective {
 public:
  static constexpr const char* kKind = "objective";
  virtual ~Objective() = default;

  /// All that is trained, heads included; the model's own under the names of its folder (Hugging Face's or fairseq's).
  virtual const std::vector<ParameterSpec>& specs() const = 0;

  /// Where they start, as one flat float32 vector in the order of `specs` (not by ParameterSpec::init). Each parameter
  /// is drawn from keys of (seed, its name).
  virtual at::Tensor initial(std::uint64_t seed) const = 0;

  /// How many different units it predicts, so many centres k-means must make; 0: it takes none.
  virtual std::int64_t classes() const { return 0; }

  /// Samples from one unit to the next, the hop of the stem.
  virtual std::int64_t unit_hop_samples() const = 0;

  /// Frames (and so units) of an utterance of `samples`; 0 if it is too short.
  virtual std::int64_t frames(std::int64_t samples) const = 0;

  /// The loss of some utterances, each computed alone; what depends on the parameters only, such as weights laid out
  /// for products, is made once for all of them. Their activations live until the loss's graph is gone. Throws
  /// DataError if one is too short, if there are no units where there must be, or more than 2 fewer than frames, or if
  /// one is no class.
  ///   parameters  pieces of the flat vector (`leaf_parameters`), float32 or float64; gradients reach those that
  ///               require them
  ///   utterances  at least one
  virtual ObjectiveSums forward(const Parameters& parameters, std::span<const PretrainUtterance> utterances,
                                const Pass& pass) const = 0;
  ObjectiveSums forward(const Parameters& parameters, const PretrainUtterance& utterance, const Pass& pass) const {
    return forward(parameters, std::span<const PretrainUtterance>(&utterance, 1), pass);
  }

  /// Before the first step of a new run, with the parameters at their start.
  virtual void start(const Parameters&) {}

  /// After an update of the parameters; `step` counts the updates made, from 1.
  virtual void after_step(const Parameters&, std::uint64_t /*step*/) {}

  /// What a run depends on besides parameters and optimizer (a teacher), for checkpoints; shared, not copied.
  virtual NamedTensors state() const { return {}; }

  /// Continues from a `state()` on the device of the parameters, bit for bit. Throws DataError that names a tensor that
  /// is missing, unknown or of another shape.
  virtual void load_state(const NamedTensors& state);

  /// Writes the model, without its heads, as a folder that `open_upstream` opens: config.json,
  /// preprocessor_config.json where Hugging Face has the architecture, model.safetensors in float16. Makes the folder;
  /// config.json comes last.
  virtual void write_model(const std::filesystem::path& folder, const Parameters& parameters) const = 0;
};

using ObjectiveRegistry = Registry<Objective>;

#define STRATA_REGISTER_OBJECTIVE(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =        \
      ::strata::ObjectiveRegistry::add_variant<Options, Class>(name, summary)

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config/json.h"
#include "core/upstreams/upstream.h"
#include "data/speech/speech.h"
#include "distributed/mpi.h"
#include "trainers/pretrain/study.h"

namespace strata {

/// Where the frames that become units come from.
struct UnitSource {
  std::string fingerprint;  // of all that its numbers depend on but the speech
  std::string description;  // "mfcc", "hubert_1/h3": for people
  std::int64_t hop_samples = 0;
  std::int64_t width = 0;
  /// All frames of an utterance: [T, width], float32.
  std::function<at::Tensor(const Speech& speech, std::size_t utterance)> frames;
};

/// 39 MFCCs (13, their differences and theirs), 10 ms apart; computed from the audio.
UnitSource mfcc_source();

/// Tap `tap` of a model; computed from the audio. Throws ConfigError, with `place`, if it has no such tap.
UnitSource model_source(std::shared_ptr<const Upstream> upstream, const std::string& tap,
                        const std::string& description, const std::string& place);

/// Tap `tap` of the features of an upstream under `store`, a folder of a feature store, by corpus and id.
/// Throws ConfigError if there is no such tap, or a corpus of the speech was not extracted.
UnitSource store_source(const std::filesystem::path& store, const std::string& tap, const Speech& speech,
                        const std::string& place);

/// One frame for each unit, `unit_hop` samples apart, of frames `hop` samples apart: every (unit_hop / hop)th, from the
/// first on; or, of a slower source, each as often as fits. At most `units` of them.
///   MFCCs are 10 ms apart, units 20: unit t is the MFCC frame 2 t, whose window, samples 320 t to 320 t + 400, is just
///   the receptive field of frame t of the encoder's stem. So does fairseq, whose labels are 10 ms apart and of which
///   every second one is taken.
/// Throws ConfigError if neither hop is a multiple of the other.
at::Tensor at_unit_rate(const at::Tensor& frames, std::int64_t hop, std::int64_t unit_hop, std::int64_t units);

/// `frames` [T, D] with mean 0 over time in each dimension and, if `variance`, variance 1; a dimension that does not
/// change is 0.
at::Tensor normalized_over_time(const at::Tensor& frames, bool variance);

/// What units are wanted.
struct UnitRequest {
  std::int64_t clusters = 0;
  std::int64_t unit_hop = 320;
  std::function<std::int64_t(std::int64_t samples)> count;  // units of an utterance
  UnitRecipe options;
};

/// The units of every utterance that has any.
class Units {
 public:
  /// Clusters the frames of `train` and labels all utterances of `speech`, unless `folder` has the result:
  ///   centroids.safetensors  centroids [K, D] float32
  ///   units.h5               /utterances/{id, first, count}, /units int16 [sum of all]
  ///   units.json             how they came about; written last
  /// Collective. The result is the same, bit for bit, at any number of ranks.
  ///   stop  asked between utterances; with what was asked for, an empty optional comes back and nothing is kept
  static std::optional<Units> make(const std::filesystem::path& folder, const Speech& speech,
                                   const std::vector<std::size_t>& train, const UnitSource& source,
                                   const UnitRequest& request, const Communicator& ranks, bool show_progress);

  /// [T] int64 of an utterance, by its key. Throws DataError if it has none.
  at::Tensor of(const std::string& key) const;
  /// units.json: source, clusters, inertia of each start, frames.
  const Json& record() const { return record_; }

 private:
  explicit Units(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  Json record_;
  at::Tensor all_;                                                                 // int64
  std::unordered_map<std::string, std::pair<std::int64_t, std::int64_t>> places_;  // first, count
};

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "data/audio/effects/effect.h"
#include "data/manifest/manifest.h"
#include "data/speech/pcm_shard.h"

namespace strata {

/// What is wanted of a corpus, for training on its audio.
struct SpeechRequest {
  std::string corpus;  // its name in the study
  const Corpus* manifests = nullptr;
  const Effects* effects = nullptr;     // applied to each utterance once, when it is decoded
  Json treatment = Json::array();       // the same, resolved
  std::vector<std::size_t> utterances;  // indices into Corpus::utterances()
};

/// Which utterances go into which file: a function of the manifests alone. Utterances are called `corpus/id`.
class SpeechPlan {
 public:
  /// `parent` is where the folder of this speech, named after its fingerprint, is or will be.
  ///   shard_seconds  a file is closed when it has as much audio
  SpeechPlan(const std::filesystem::path& parent, const std::vector<SpeechRequest>& requests, double shard_seconds);

  /// Hash of what the files will hold: manifests, utterances, treatment; not of where the audio lies.
  const std::string& fingerprint() const { return fingerprint_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::size_t shards() const { return shards_.size(); }
  std::filesystem::path shard_path(std::size_t shard) const;
  /// Those not written yet.
  std::vector<std::size_t> missing() const;
  /// Utterances of a file.
  std::size_t size(std::size_t shard) const { return shards_[shard].size(); }

  /// Decodes, resamples, treats and writes the files of `shards` that are this rank's, on `threads` threads. What
  /// cannot be decoded is named in a warning and beside the file, and left out.
  ///   shards   as `missing` gave them before any rank began
  ///   stop     asked before each file: true leaves the rest
  ///   written  called after each file with its utterances, from any thread
  /// Throws DataError if a file cannot be written.
  void write(const std::vector<std::size_t>& shards, int rank, int world_size, int threads,
             const std::function<bool()>& stop, const std::function<void(std::int64_t)>& written) const;

 private:
  struct Item {
    std::string key;  // corpus/id
    const Utterance* utterance = nullptr;
    const Effects* effects = nullptr;
  };
  void write_shard(std::size_t shard) const;

  std::filesystem::path folder_;
  std::string fingerprint_;
  std::vector<std::vector<Item>> shards_;
};

/// The audio of a plan whose files are all there. Immutable, thread-safe.
class Speech {
 public:
  /// Throws DataError if a file is not there or broken.
  explicit Speech(const SpeechPlan& plan);

  /// Utterances that could be decoded, in the order of the plan.
  std::size_t size() const { return places_.size(); }
  const std::string& key(std::size_t utterance) const;
  std::int64_t samples(std::size_t utterance) const;
  /// [length] float32 at 16 kHz, from sample `from` on. Throws DataError if the utterance is damaged.
  at::Tensor wave(std::size_t utterance, std::int64_t from, std::int64_t length) const;
  at::Tensor wave(std::size_t utterance) const { return wave(utterance, 0, samples(utterance)); }
  /// Those left out.
  const std::vector<UndecodedUtterance>& failed() const { return failed_; }
  double seconds() const;

 private:
  struct Place {
    std::size_t shard = 0, utterance = 0;
  };
  std::vector<std::unique_ptr<const PcmShard>> shards_;
  std::vector<Place> places_;
  std::vector<UndecodedUtterance> failed_;
};

}  // namespace strata

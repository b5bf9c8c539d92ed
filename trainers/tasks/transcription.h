#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "trainers/tasks/task.h"

namespace strata {

/// A task whose utterances are written in symbols without times: CTC over frames, the best symbol of each frame for a
/// hypothesis. Who derives says what the symbols of a text are.
class Transcription : public Task {
 public:
  const std::vector<std::string>& ids(const std::string& split) const override { return ids_.at(split); }
  HeadOutput output() const override { return HeadOutput::kFrameLogits; }
  std::int64_t classes() const override { return static_cast<std::int64_t>(labels().size()); }
  Json default_head() const override { return {{"type", "linear_ctc"}}; }
  std::int64_t frames_needed(const std::string& id) const override;
  Targets targets(std::span<const std::string> ids) const override;
  LossSum loss(const at::Tensor& logits, const at::Tensor& lengths, const Targets& targets) const override;
  std::vector<SumCount> measure(std::span<const std::string> ids, const at::Tensor& logits, const at::Tensor& lengths,
                                const Targets& targets, std::vector<Json>* predictions) const override;

 protected:
  /// Reads the texts of the task's three splits. Throws ConfigError if a split is missing or empty or has no symbol in
  /// all its texts, or an utterance's text is missing or no text.
  ///   task   its name, for messages, and the first part of the splits' names unless `splits` is another
  ///   field  of the manifest
  Transcription(const std::string& task, const std::string& splits, const std::string& field, const Corpus& corpus);

  std::vector<std::string> texts_of(const std::string& split) const;

  /// What CTC is to align.
  virtual std::vector<std::int64_t> symbols_of(const std::string& text) const = 0;

  struct Comparison {
    std::string hypothesis, reference;
    std::vector<SumCount> sums;  // one for each of `metrics()`
  };
  /// The best symbols of the frames beside the utterance's text.
  virtual Comparison compare(const std::string& text, const std::vector<std::int64_t>& path) const = 0;

 private:
  void read_split(const std::string& task, const Corpus& corpus, const Split& split, const std::string& field);

  std::map<std::string, std::vector<std::string>> ids_;  // by split
  std::unordered_map<std::string, std::string> texts_;   // by utterance id
};

}  // namespace strata

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/base/error.h"
#include "core/losses/ctc.h"
#include "core/metrics/error_rates.h"
#include "trainers/tasks/alphabet.h"
#include "trainers/tasks/task.h"

namespace strata {
namespace {

struct AsrOptions : TaskOptions {
  std::string field = "text";
  std::string vocabulary = "train";

  void fields(Fields& f) {
    TaskOptions::fields(f);
    f.text("field", field, "field of the manifest that holds the transcript");
    f.text("vocabulary", vocabulary,
           "train: the characters of the training split; superb: SUPERB's 32 symbols, English in capitals",
           {"train", "superb"});
  }
};

/// Speech recognition by character CTC, greedy decoding (SUPERB ASR, arXiv:2105.01051, without a language model).
/// `vocabulary`:
///   train   characters as they stand in the training split, the space among them. CER over the code points of the text
///           chooses the checkpoint; WER beside it.
///   superb  the benchmark's symbols and rules (s3prl's asr/expert.py, which takes both from fairseq): WER chooses; UER
///           counts units, a "|" after every word among them.
/// White space in a transcript separates words; how much of it there is does not matter. A character that is no symbol
/// is an error whatever is recognised.
class Asr : public Task {
 public:
  /// Throws ConfigError if a split is missing or empty or has no character in all its transcripts, or an utterance's
  /// transcript is missing or no text.
  Asr(const AsrOptions& options, const Corpus& corpus) : superb_(options.vocabulary == "superb") {
    const std::string prefix = options.splits.empty() ? "asr" : options.splits;
    for (const char* name : {"train", "dev", "test"}) read_split(corpus, corpus.split(prefix, name), options.field);
    std::vector<std::string> train;
    for (const std::string& id : ids_.at("train")) train.push_back(texts_.at(id));
    alphabet_.emplace(superb_ ? Alphabet::superb() : Alphabet::of(train));
  }

  const std::vector<std::string>& ids(const std::string& split) const override { return ids_.at(split); }
  HeadOutput output() const override { return HeadOutput::kFrameLogits; }
  std::int64_t classes() const override { return static_cast<std::int64_t>(labels().size()); }
  Json default_head() const override { return {{"type", "linear_ctc"}}; }
  const std::vector<std::string>& labels() const override { return alphabet_->symbols(); }

  std::vector<MetricInfo> metrics() const override {
    const MetricInfo words = {"wer", false, "%"};
    return superb_ ? std::vector<MetricInfo>{words, {"uer", false, "%"}}
                   : std::vector<MetricInfo>{{"cer", false, "%"}, words};
  }

  std::int64_t frames_needed(const std::string& id) const override {
    const std::vector<std::int64_t> symbols = alphabet_->targets(texts_.at(id));
    std::int64_t needed = static_cast<std::int64_t>(symbols.size());
    for (std::size_t u = 1; u < symbols.size(); ++u) needed += symbols[u] == symbols[u - 1] ? 1 : 0;
    return std::max<std::int64_t>(needed, 1);
  }

  Targets targets(std::span<const std::string> ids) const override {
    const auto count = static_cast<std::int64_t>(ids.size());
    std::vector<std::vector<std::int64_t>> symbols;
    std::size_t longest = 0;
    for (const std::string& id : ids) {
      symbols.push_back(alphabet_->targets(texts_.at(id)));
      longest = std::max(longest, symbols.back().size());
    }
    Targets targets{at::zeros({count, static_cast<std::int64_t>(longest)}, at::kLong), at::empty({count}, at::kLong)};
    auto* row = targets.labels.mutable_data_ptr<std::int64_t>();
    auto* length = targets.lengths.mutable_data_ptr<std::int64_t>();
    for (const auto& one : symbols) {
      std::copy(one.begin(), one.end(), row);
      row += longest;
      *length++ = static_cast<std::int64_t>(one.size());
    }
    return targets;
  }

  LossSum loss(const at::Tensor& logits, const at::Tensor& lengths, const Targets& targets) const override {
    return ctc_loss(logits, lengths, {targets.labels, targets.lengths});
  }

  std::vector<SumCount> measure(std::span<const std::string> ids, const at::Tensor& logits, const at::Tensor& lengths,
                                const Targets&, std::vector<Json>* predictions) const override {
    const at::Tensor best = logits.argmax(-1).cpu();
    SumCount units, words;
    for (std::size_t b = 0; b < ids.size(); ++b) {
      const auto* path = best.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(b) * best.size(1);
      const std::int64_t length = lengths.const_data_ptr<std::int64_t>()[b];
      const std::vector<std::int64_t> hypothesis = alphabet_->hypothesis({path, path + length});
      const std::string text = alphabet_->text(hypothesis), reference = alphabet_->normalized(texts_.at(ids[b]));
      units += edits(hypothesis, alphabet_->reference(reference));
      words += edits(split_at_white_space(text), split_at_white_space(reference));
      if (predictions != nullptr) {
        predictions->push_back({{"id", ids[b]}, {"hypothesis", text}, {"reference", reference}});
      }
    }
    return superb_ ? std::vector<SumCount>{words, units} : std::vector<SumCount>{units, words};
  }

 private:
  void read_split(const Corpus& corpus, const Split& split, const std::string& field) {
    require_field(corpus, split, field, "task asr");
    bool empty = true;
    for (const std::size_t index : split.utterances) {
      const Utterance& utterance = corpus.utterances()[index];
      const Json& value = utterance.fields.at(field);
      if (!value.is_string()) {
        throw ConfigError(fmt::format("{}: task asr needs \"{}\" of \"{}\" to be a text, found {}", utterance.place,
                                      field, utterance.id, value.dump()));
      }
      ids_[split.name].push_back(utterance.id);
      texts_[utterance.id] = value;
      empty = empty && split_at_white_space(texts_.at(utterance.id)).empty();
    }
    if (empty) {
      throw ConfigError(fmt::format("{}: \"{}\" is empty in every utterance", split.path.string(), field));
    }
  }

  bool superb_;
  std::map<std::string, std::vector<std::string>> ids_;  // by split
  std::unordered_map<std::string, std::string> texts_;   // by utterance id
  std::optional<Alphabet> alphabet_;
};

STRATA_REGISTER_TASK("asr", AsrOptions, Asr,
                     "speech recognition: field `text`, character CTC, character and word error rate");

}  // namespace
}  // namespace strata

#include "core/metrics/error_rates.h"
#include "trainers/tasks/alphabet.h"
#include "trainers/tasks/transcription.h"

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
class Asr : public Transcription {
 public:
  /// Throws ConfigError as Transcription does.
  Asr(const AsrOptions& options, const Corpus& corpus)
      : Transcription("asr", options.splits, options.field, corpus),
        superb_(options.vocabulary == "superb"),
        alphabet_(superb_ ? Alphabet::superb() : Alphabet::of(texts_of("train"))) {}

  const std::vector<std::string>& labels() const override { return alphabet_.symbols(); }

  std::vector<MetricInfo> metrics() const override {
    const MetricInfo words = {"wer", false, "%"};
    return superb_ ? std::vector<MetricInfo>{words, {"uer", false, "%"}}
                   : std::vector<MetricInfo>{{"cer", false, "%"}, words};
  }

 private:
  std::vector<std::int64_t> symbols_of(const std::string& text) const override { return alphabet_.targets(text); }

  Comparison compare(const std::string& text, const std::vector<std::int64_t>& path) const override {
    const std::vector<std::int64_t> best = alphabet_.hypothesis(path);
    Comparison compared{alphabet_.text(best), alphabet_.normalized(text), {}};
    const SumCount units = edits(best, alphabet_.reference(compared.reference));
    const SumCount words = edits(split_at_white_space(compared.hypothesis), split_at_white_space(compared.reference));
    compared.sums = superb_ ? std::vector<SumCount>{words, units} : std::vector<SumCount>{units, words};
    return compared;
  }

  bool superb_;
  Alphabet alphabet_;
};

STRATA_REGISTER_TASK("asr", AsrOptions, Asr,
                     "speech recognition: field `text`, character CTC, character and word error rate");

}  // namespace
}  // namespace strata

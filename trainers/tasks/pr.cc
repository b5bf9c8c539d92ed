#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/metrics/ctc_decoding.h"
#include "core/metrics/error_rates.h"
#include "core/metrics/vocabulary.h"
#include "trainers/tasks/transcription.h"

namespace strata {
namespace {

constexpr std::int64_t kBlank = 0, kUnknown = -1;

struct PrOptions : TaskOptions {
  std::string field = "phones";
  std::string vocabulary = "train";

  void fields(Fields& f) {
    TaskOptions::fields(f);
    f.text("field", field, "field of the manifest that holds the phones, separated by blanks");
    f.text("vocabulary", vocabulary,
           "train: the phones of the training split; superb: SUPERB's 74 symbols, and each target ends with <eos>",
           {"train", "superb"});
  }
};

/// Phoneme recognition by CTC, greedy decoding (SUPERB PR, arXiv:2105.01051): phone error rate. `vocabulary`:
///   train   "<blank>", "<unk>", then each phone that stands in the training split, sorted
///   superb  the benchmark's symbols and rules (s3prl's ctc/libriphone.yaml): a target ends with "<eos>", which no
///           hypothesis and no reference has
/// A phone that is no symbol is an error whatever is recognised.
class Pr : public Transcription {
 public:
  /// Throws ConfigError as Transcription does.
  Pr(const PrOptions& options, const Corpus& corpus) : Transcription("pr", options.splits, options.field, corpus) {
    if (options.vocabulary == "superb") {
      symbols_ = phone_vocabulary();
    } else {
      std::set<std::string> phones;
      for (const std::string& text : texts_of("train")) {
        for (std::string& phone : split_at_white_space(text)) phones.insert(std::move(phone));
      }
      for (const char* own : {"<blank>", "<unk>"}) phones.erase(own);
      symbols_ = {"<blank>", "<unk>"};
      symbols_.insert(symbols_.end(), phones.begin(), phones.end());
    }
    for (std::size_t i = 0; i < symbols_.size(); ++i) index_[symbols_[i]] = static_cast<std::int64_t>(i);
    unknown_ = index_.at("<unk>");
    if (options.vocabulary == "superb") end_ = index_.at("<eos>");
  }

  const std::vector<std::string>& labels() const override { return symbols_; }
  std::vector<MetricInfo> metrics() const override { return {{"per", false, "%"}}; }

 private:
  std::vector<std::int64_t> reference_of(const std::string& text) const {
    std::vector<std::int64_t> symbols;
    for (const std::string& phone : split_at_white_space(text)) {
      const auto found = index_.find(phone);
      symbols.push_back(found == index_.end() ? kUnknown : found->second);
    }
    return symbols;
  }

  std::vector<std::int64_t> symbols_of(const std::string& text) const override {
    std::vector<std::int64_t> symbols = reference_of(text);
    std::replace(symbols.begin(), symbols.end(), kUnknown, unknown_);
    if (end_ != kBlank) symbols.push_back(end_);
    return symbols;
  }

  Comparison compare(const std::string& text, const std::vector<std::int64_t>& path) const override {
    const std::vector<std::int64_t> best = ctc_collapse(path, {kBlank, end_});
    return {spaced_text(best, symbols_),
            fmt::format("{}", fmt::join(split_at_white_space(text), " ")),
            {edits(best, reference_of(text))}};
  }

  std::vector<std::string> symbols_;  // index 0 is the blank
  std::map<std::string, std::int64_t> index_;
  std::int64_t unknown_ = 0;
  std::int64_t end_ = kBlank;  // of a target; the blank if it has none
};

STRATA_REGISTER_TASK("pr", PrOptions, Pr, "phoneme recognition: field `phones`, CTC, phone error rate");

}  // namespace
}  // namespace strata

#include "trainers/tasks/transcription.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/losses/ctc.h"
#include "core/metrics/error_rates.h"

namespace strata {

Transcription::Transcription(const std::string& task, const std::string& splits, const std::string& field,
                             const Corpus& corpus) {
  const std::string prefix = splits.empty() ? task : splits;
  for (const char* name : {"train", "dev", "test"}) read_split(task, corpus, corpus.split(prefix, name), field);
}

void Transcription::read_split(const std::string& task, const Corpus& corpus, const Split& split,
                               const std::string& field) {
  require_field(corpus, split, field, "task " + task);
  bool empty = true;
  for (const std::size_t index : split.utterances) {
    const Utterance& utterance = corpus.utterances()[index];
    const Json& value = utterance.fields.at(field);
    if (!value.is_string()) {
      throw ConfigError(fmt::format("{}: task {} needs \"{}\" of \"{}\" to be a text, found {}", utterance.place, task,
                                    field, utterance.id, value.dump()));
    }
    ids_[split.name].push_back(utterance.id);
    texts_[utterance.id] = value;
    empty = empty && split_at_white_space(texts_.at(utterance.id)).empty();
  }
  if (empty) throw ConfigError(fmt::format("{}: \"{}\" is empty in every utterance", split.path.string(), field));
}

std::vector<std::string> Transcription::texts_of(const std::string& split) const {
  std::vector<std::string> texts;
  for (const std::string& id : ids_.at(split)) texts.push_back(texts_.at(id));
  return texts;
}

std::int64_t Transcription::frames_needed(const std::string& id) const {
  const std::vector<std::int64_t> symbols = symbols_of(texts_.at(id));
  std::int64_t needed = static_cast<std::int64_t>(symbols.size());
  for (std::size_t u = 1; u < symbols.size(); ++u) needed += symbols[u] == symbols[u - 1] ? 1 : 0;
  return std::max<std::int64_t>(needed, 1);
}

Targets Transcription::targets(std::span<const std::string> ids) const {
  const auto count = static_cast<std::int64_t>(ids.size());
  std::vector<std::vector<std::int64_t>> symbols;
  std::size_t longest = 0;
  for (const std::string& id : ids) {
    symbols.push_back(symbols_of(texts_.at(id)));
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

LossSum Transcription::loss(const at::Tensor& logits, const at::Tensor& lengths, const Targets& targets) const {
  return ctc_loss(logits, lengths, {targets.labels, targets.lengths});
}

std::vector<SumCount> Transcription::measure(std::span<const std::string> ids, const at::Tensor& logits,
                                             const at::Tensor& lengths, const Targets&,
                                             std::vector<Json>* predictions) const {
  const at::Tensor best = logits.argmax(-1).cpu();
  std::vector<SumCount> sums(metrics().size());
  for (std::size_t b = 0; b < ids.size(); ++b) {
    const auto* path = best.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(b) * best.size(1);
    const std::int64_t length = lengths.const_data_ptr<std::int64_t>()[b];
    const Comparison compared = compare(texts_.at(ids[b]), {path, path + length});
    for (std::size_t m = 0; m < sums.size(); ++m) sums[m] += compared.sums[m];
    if (predictions != nullptr) {
      predictions->push_back({{"id", ids[b]}, {"hypothesis", compared.hypothesis}, {"reference", compared.reference}});
    }
  }
  return sums;
}

}  // namespace strata

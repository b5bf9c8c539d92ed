#include "trainers/tasks/utterance_classification.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/losses/cross_entropy.h"

namespace strata {

UtteranceClassification::UtteranceClassification(const std::string& task, const std::string& field, const TaskOptions& options, const Corpus& corpus) {
  const std::string prefix = options.splits.empty() ? task : options.splits;
  std::set<std::string> classes;
  for (const char* name : {"train", "dev", "test"}) {
    const Split& split = corpus.split(prefix, name);
    require_field(corpus, split, field, "task " + task);
    for (const std::size_t index : split.utterances) {
      const Utterance& utterance = corpus.utterances()[index];
      const Json& value = utterance.fields.at(field);
      const std::string label = value.is_string() ? value.get<std::string>() : value.dump();
      if (std::string_view(name) == "train") classes.insert(label);
      const auto found = classes.find(label);
      if (found == classes.end()) {
        throw ConfigError(fmt::format("{}: {} \"{}\" of \"{}\" is in {}.{} but not in {}.train: it cannot be learnt", utterance.place, field, label, utterance.id, prefix, name, prefix));
      }
      ids_[name].push_back(utterance.id);
    }
  }
  labels_.assign(classes.begin(), classes.end());
  if (labels_.size() < 2) throw ConfigError(fmt::format("{}: task {} needs two values of \"{}\" at least, {}.train has one", corpus.directory().string(), task, field, prefix));
  for (const auto& [split, ids] : ids_) {
    for (const std::string& id : ids) {
      const Json& value = corpus.utterances()[*corpus.find(id)].fields.at(field);
      const std::string label = value.is_string() ? value.get<std::string>() : value.dump();
      class_of_[id] = std::lower_bound(labels_.begin(), labels_.end(), label) - labels_.begin();
    }
  }
}

const std::vector<std::string>& UtteranceClassification::ids(const std::string& split) const { return ids_.at(split); }

Targets UtteranceClassification::targets(std::span<const std::string> ids) const {
  Targets targets{at::empty({static_cast<std::int64_t>(ids.size())}, at::kLong), {}};
  auto* out = targets.labels.mutable_data_ptr<std::int64_t>();
  for (const std::string& id : ids) *out++ = class_of_.at(id);
  return targets;
}

LossSum UtteranceClassification::loss(const at::Tensor& logits, const at::Tensor&, const Targets& targets) const {
  return cross_entropy(logits, targets.labels);
}

std::vector<SumCount> UtteranceClassification::measure(std::span<const std::string> ids, const at::Tensor& logits, const at::Tensor&,
                                                       const Targets& targets, std::vector<Json>* predictions) const {
  const at::Tensor predicted = logits.argmax(-1).cpu();
  SumCount accuracy;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::int64_t guess = predicted.const_data_ptr<std::int64_t>()[i];
    const std::int64_t truth = targets.labels.const_data_ptr<std::int64_t>()[i];
    accuracy += {guess == truth ? 1.0 : 0.0, 1.0};
    if (predictions != nullptr) {
      predictions->push_back({{"id", ids[i]}, {"predicted", labels_[static_cast<std::size_t>(guess)]}, {"label", labels_[static_cast<std::size_t>(truth)]}});
    }
  }
  return {accuracy};
}

}  // namespace strata

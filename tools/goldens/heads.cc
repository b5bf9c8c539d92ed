#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/heads/head.h"
#include "core/losses/cross_entropy.h"
#include "core/losses/ctc.h"
#include "core/metrics/accuracy.h"
#include "core/metrics/ctc_decoding.h"
#include "core/metrics/error_rates.h"
#include "core/metrics/vocabulary.h"
#include "tools/goldens/golden.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

using Ids = std::vector<std::int64_t>;

at::Tensor scalar_of(const LossSum& loss) { return (loss.sum / loss.count).reshape({1}); }

Ids ids_of(const at::Tensor& values) {
  const at::Tensor kept = values.to(at::kLong).contiguous();
  return Ids(kept.const_data_ptr<std::int64_t>(), kept.const_data_ptr<std::int64_t>() + kept.numel());
}

/// A head with the fixture's parameters, and its input; both take gradients.
struct Run {
  std::unique_ptr<Head> head;
  std::vector<ParameterSpec> specs;
  at::Tensor flat;
  at::Tensor features;
  at::Tensor lengths;

  /// `more` are options beside the projector's width.
  Run(const std::string& type, Fixture& fixture, at::ScalarType dtype, const Json& more = Json::object())
      : features(fixture["features"].to(dtype, false, true).requires_grad_()), lengths(fixture["lengths"]) {
    Json options = {{"type", type}, {"projector_width", fixture["param.projector.weight"].size(0)}};
    options.update(more);
    head = HeadRegistry::make(FieldReader(options, "cases.json"),
                              HeadInput{features.size(2), fixture["param.classifier.weight"].size(0)});
    specs = head->parameters();
    flat = fixture.parameters("param.", specs, dtype);
  }

  at::Tensor forward() const { return head->forward(view_parameters(specs, flat), features, lengths); }

  /// All gradients of the loss.
  void compare_gradients(Fixture& fixture, Comparison& compare) const {
    compare.tensor("grad.features", features.grad(), fixture["grad.features"]);
    const Parameters gradients = view_parameters(specs, flat.grad());
    for (const auto& [name, gradient] : gradients.items())
      compare.tensor("grad." + name, gradient, fixture["grad." + name]);
  }
};

/// KS, SID, ER: one class an utterance. IC: `classes` is a list of slots.
void check_utterance_head(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const Run run("mean_pool_linear", fixture, compare.dtype());
  const Json& classes = golden_case.at("classes");
  const Ids slots = classes.is_array() ? classes.get<Ids>() : Ids{classes.get<std::int64_t>()};
  const at::Tensor logits = run.forward(), labels = fixture["labels"];
  const LossSum loss = classes.is_array() ? slot_cross_entropy(logits, labels, slots) : cross_entropy(logits, labels);
  const at::Tensor mean = scalar_of(loss);
  mean.sum().backward();

  const at::Tensor predicted = classes.is_array() ? predicted_slots(logits, slots) : predicted_classes(logits);
  compare.tensor("logits", logits, fixture["logits"]);
  compare.tensor("loss", mean, fixture["loss"]);
  compare.tensor("predicted", predicted, fixture["predicted"]);
  compare.tensor("correct", correct(predicted, labels), fixture["correct"]);
  run.compare_gradients(fixture, compare);
}

CtcTargets targets_of(const Json& golden_case, Fixture& fixture) {
  return {fixture["targets"], fixture["target_lengths"], golden_case.at("blank").get<std::int64_t>()};
}

/// The fixtures write -1 for an infinite one.
at::Tensor finite_nll(const at::Tensor& logits, const at::Tensor& lengths, const CtcTargets& targets) {
  const at::Tensor nll = ctc_nll(logits.detach(), lengths, targets);
  return nll.masked_fill(nll.isinf(), -1.0);
}

bool is_recurrent(const Fixture& fixture) { return !fixture.keys("param.rnn.").empty(); }

/// PR's head, or that of ASR and SF: then the widths are those of the parameters, the options those of the case.
Run ctc_run(const Json& golden_case, Fixture& fixture, at::ScalarType dtype) {
  if (!is_recurrent(fixture)) return Run("linear_ctc", fixture, dtype);
  Json options = golden_case.value("options", Json::object());
  options["hidden_width"] = fixture["param.rnn.0.forward.weight_hh"].size(1);
  return Run("rnn_ctc", fixture, dtype, options);
}

void check_ctc_head(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const Run run = ctc_run(golden_case, fixture, compare.dtype());
  const CtcTargets targets = targets_of(golden_case, fixture);
  const at::Tensor logits = run.forward(), lengths = run.head->output_lengths(run.lengths);
  const at::Tensor mean = scalar_of(ctc_loss(logits, lengths, targets));
  mean.sum().backward();

  compare.tensor("loss", mean, fixture["loss"]);
  compare.tensor("log_probs", valid_frames(logits.log_softmax(2), lengths),
                 valid_frames(fixture["log_probs"], lengths));
  compare.tensor("nll", finite_nll(logits, lengths, targets), fixture["nll"]);
  compare.tensor("output_lengths", lengths, fixture["output_lengths"]);
  run.compare_gradients(fixture, compare);
}

void check_ctc_alone(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const at::Tensor logits = fixture["logits"].to(compare.dtype(), false, true).requires_grad_();
  const at::Tensor& lengths = fixture["lengths"];
  const CtcTargets targets = targets_of(golden_case, fixture);
  const at::Tensor mean = scalar_of(ctc_loss(logits, lengths, targets));
  mean.sum().backward();
  compare.tensor("loss", mean, fixture["loss"]);
  compare.tensor("nll", finite_nll(logits, lengths, targets), fixture["nll"]);
  compare.tensor("grad.logits", logits.grad(), fixture["grad.logits"]);
}

void check_head(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const std::string task = golden_case.at("task");
  if (task == "ks" || task == "sid" || task == "er" || task == "ic")
    return check_utterance_head(golden_case, fixture, compare);
  if (task == "pr" || task == "asr" || task == "sf") return check_ctc_head(golden_case, fixture, compare);
  if (task == "ctc") return check_ctc_alone(golden_case, fixture, compare);
  throw DataError(fmt::format("head \"{}\" is not known yet", task));
}

/// How a task's symbols become text, and which are never printed.
struct Writing {
  std::vector<std::string> symbols;
  Ids dropped;
  std::string (*text)(const Ids&, const std::vector<std::string>&);
  bool cut_to_length = false;  // before decoding; s3prl does so in ASR alone
};

std::string words_of_letters(const Ids& ids, const std::vector<std::string>& symbols) {
  return fmt::format("{}", fmt::join(split_at_white_space(letter_text(ids, symbols)), " "));
}

Writing writing_of(const Json& golden_case) {
  const std::string task = golden_case.at("task");
  const std::int64_t blank = golden_case.at("blank");
  if (task == "asr") return {letter_vocabulary(), {blank, 2}, words_of_letters, true};
  // The cases of the recurrent head's options use the symbols of the case `pr`.
  const std::vector<std::string> few = {"<pad>", "<eos>", "<unk>", "SIL", "AA1", "B", "K", "S", "T"};
  const auto symbols = golden_case.value("symbols", golden_case.contains("options") ? few : phone_vocabulary());
  return {symbols, {blank, 1}, task == "sf" ? slot_text : spaced_text};
}

/// The decoded texts of a CTC case, and where there are some the symbols they are made of.
void check_ctc_text(const std::filesystem::path& folder, const Json& golden_case, std::vector<GoldenLine>& lines) {
  const std::string name = "heads/" + golden_case.at("case").get<std::string>();
  Fixture fixture(folder / (golden_case.at("case").get<std::string>() + ".safetensors"));
  const Run run = ctc_run(golden_case, fixture, at::kDouble);
  const Writing writing = writing_of(golden_case);
  const at::Tensor best = predicted_classes(run.forward().detach()), lengths = run.head->output_lengths(run.lengths);
  Json texts[2], symbols[2];  // hypotheses, references
  for (std::int64_t b = 0; b < best.size(0); ++b) {
    const std::int64_t frames = writing.cut_to_length ? lengths[b].item<std::int64_t>() : best.size(1);
    Ids target = ids_of(fixture["targets"][b].slice(0, 0, fixture["target_lengths"][b].item<std::int64_t>()));
    std::erase(target, writing.dropped[1]);
    const Ids both[2] = {ctc_collapse(ids_of(best[b].slice(0, 0, frames)), writing.dropped), target};
    for (const int i : {0, 1}) {
      texts[i].push_back(writing.text(both[i], writing.symbols));
      symbols[i].push_back(spaced_text(both[i], writing.symbols));
    }
  }
  lines.push_back(equality_line(name + " hyp", texts[0] == golden_case.at("hyp")));
  lines.push_back(equality_line(name + " ref", texts[1] == golden_case.at("ref")));
  if (!golden_case.contains("hyp_tokens")) return;
  lines.push_back(equality_line(name + " hyp_tokens", symbols[0] == golden_case.at("hyp_tokens")));
  lines.push_back(equality_line(name + " ref_tokens", symbols[1] == golden_case.at("ref_tokens")));
}

}  // namespace

std::vector<GoldenLine> check_heads(const std::filesystem::path& folder) {
  std::vector<GoldenLine> lines = check_cases(folder, "heads", check_head);
  guarded(lines, "heads", [&] {
    for (const Json& golden_case : read_json(folder / "cases.json")) {
      if (!golden_case.contains("hyp")) continue;
      guarded(lines, "heads/" + golden_case.at("case").get<std::string>() + " text",
              [&] { check_ctc_text(folder, golden_case, lines); });
    }
  });
  return lines;
}

}  // namespace strata

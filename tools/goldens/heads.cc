#include <ATen/ATen.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/heads/head.h"
#include "core/losses/cross_entropy.h"
#include "core/losses/ctc.h"
#include "core/metrics/accuracy.h"
#include "core/metrics/ctc_decoding.h"
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

  Run(const std::string& type, Fixture& fixture, at::ScalarType dtype)
      : features(fixture["features"].to(dtype, false, true).requires_grad_()), lengths(fixture["lengths"]) {
    const Json options = {{"type", type}, {"projector_width", fixture["param.projector.weight"].size(0)}};
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

void check_linear_ctc(const Json& golden_case, Fixture& fixture, Comparison& compare) {
  const Run run("linear_ctc", fixture, compare.dtype());
  const CtcTargets targets = targets_of(golden_case, fixture);
  const at::Tensor logits = run.forward();
  const at::Tensor mean = scalar_of(ctc_loss(logits, run.lengths, targets));
  mean.sum().backward();

  compare.tensor("loss", mean, fixture["loss"]);
  compare.tensor("log_probs", valid_frames(logits.log_softmax(2), run.lengths),
                 valid_frames(fixture["log_probs"], run.lengths));
  compare.tensor("nll", finite_nll(logits, run.lengths, targets), fixture["nll"]);
  compare.tensor("output_lengths", run.lengths, fixture["output_lengths"]);
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
  const bool recurrent = !fixture.keys("param.rnn.").empty();
  if (task == "ks" || task == "sid" || task == "er" || task == "ic")
    return check_utterance_head(golden_case, fixture, compare);
  if (task == "pr" && !recurrent) return check_linear_ctc(golden_case, fixture, compare);
  if (task == "ctc") return check_ctc_alone(golden_case, fixture, compare);
  throw DataError(fmt::format("head \"{}\" is not known yet", recurrent ? "rnn_ctc" : task));
}

/// The decoded texts of a PR case. `hyp` is the expert's, over all frames of the padded batch.
void check_phone_text(const std::filesystem::path& folder, const Json& golden_case, std::vector<GoldenLine>& lines) {
  const std::string name = "heads/" + golden_case.at("case").get<std::string>();
  Fixture fixture(folder / (golden_case.at("case").get<std::string>() + ".safetensors"));
  const Run run("linear_ctc", fixture, at::kDouble);
  const auto symbols = golden_case.value("symbols", phone_vocabulary());
  const Ids dropped = {golden_case.at("blank").get<std::int64_t>(), 1};
  const at::Tensor best = predicted_classes(run.forward().detach());
  Json hypotheses = Json::array(), references = Json::array();
  for (std::int64_t b = 0; b < best.size(0); ++b) {
    hypotheses.push_back(spaced_text(ctc_collapse(ids_of(best[b]), dropped), symbols));
    Ids target = ids_of(fixture["targets"][b].slice(0, 0, fixture["target_lengths"][b].item<std::int64_t>()));
    std::erase(target, dropped[1]);
    references.push_back(spaced_text(target, symbols));
  }
  lines.push_back(equality_line(name + " hyp", hypotheses == golden_case.at("hyp")));
  lines.push_back(equality_line(name + " ref", references == golden_case.at("ref")));
}

}  // namespace

std::vector<GoldenLine> check_heads(const std::filesystem::path& folder) {
  std::vector<GoldenLine> lines = check_cases(folder, "heads", check_head);
  guarded(lines, "heads", [&] {
    for (const Json& golden_case : read_json(folder / "cases.json")) {
      const bool linear_phones = golden_case.at("task") == "pr" && !golden_case.contains("options");
      if (!linear_phones) continue;
      guarded(lines, "heads/" + golden_case.at("case").get<std::string>() + " text",
              [&] { check_phone_text(folder, golden_case, lines); });
    }
  });
  return lines;
}

}  // namespace strata

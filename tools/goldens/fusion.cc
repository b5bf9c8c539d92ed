#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/losses/cross_entropy.h"
#include "core/losses/ctc.h"
#include "core/model/model.h"
#include "data/batches/alignment.h"
#include "tools/goldens/golden.h"
#include "tools/goldens/tolerance.h"

namespace strata {
namespace {

using Ids = std::vector<std::int64_t>;

/// The models' features at their own rates, and the same aligned as a loader does.
struct Inputs {
  std::vector<at::Tensor> features;  // [B, T_i, L_i, D_i], leaves
  std::vector<at::Tensor> aligned;   // [B, T, L_i, D_i], zero past the lengths
  at::Tensor lengths;                // [B]

  Inputs(const Json& described, Fixture& fixture, at::ScalarType dtype) {
    std::vector<Tap> taps;
    for (std::size_t i = 0; i < described.at("models").get<std::size_t>(); ++i) {
      const at::Tensor& stored = fixture[fmt::format("features.{}", i)];
      features.push_back(stored.to(dtype, false, true).requires_grad_());
      taps.push_back({fmt::format("model {}", i), stored.size(3),
                      described.at("rates_ms")[i].get<std::int64_t>() * kSampleRateHz / 1000});
    }
    const Alignment alignment({}, taps);
    std::vector<std::vector<at::Tensor>> utterances(features.size());
    Ids shortest(static_cast<std::size_t>(features[0].size(0)), std::numeric_limits<std::int64_t>::max());
    for (std::size_t i = 0; i < features.size(); ++i) {
      const at::Tensor& own = fixture[fmt::format("lengths.{}", i)];
      for (std::size_t b = 0; b < shortest.size(); ++b) {
        const at::Tensor frames = features[i][static_cast<std::int64_t>(b)].narrow(
            0, 0, own[static_cast<std::int64_t>(b)].item<std::int64_t>());
        utterances[i].push_back(alignment.apply(frames, taps[i]));
        shortest[b] = std::min(shortest[b], alignment.frames(frames.size(0), taps[i]));
      }
    }
    lengths = at::tensor(shortest);
    const std::int64_t longest = lengths.max().item<std::int64_t>();
    for (std::vector<at::Tensor>& rows : utterances) {
      for (std::size_t b = 0; b < rows.size(); ++b) {
        rows[b] = at::constant_pad_nd(rows[b].narrow(0, 0, shortest[b]), {0, 0, 0, 0, 0, longest - shortest[b]});
      }
      aligned.push_back(at::stack(rows));
    }
  }
};

/// What the README calls a tensor that the model calls `name`.
std::string golden_name(const std::string& name) {
  if (name.starts_with("fusion.")) return name.substr(7);
  if (name.starts_with("interface.")) {
    const std::size_t dot = name.find('.', 10);
    return name.substr(dot + 1) + "." + name.substr(10, dot - 10);
  }
  return name.starts_with("head.projector") || name.starts_with("head.classifier") ? name.substr(5) : name;
}

Model model_of(const Json& golden_case, Fixture& fixture, const Inputs& inputs) {
  const bool classifies = golden_case.at("task") == "classification";
  if (!classifies && golden_case.at("task") != "ctc") {
    throw DataError(fmt::format("task {} is not known", golden_case.at("task").dump()));
  }
  const std::string first = golden_case.at("algorithm") == "individual_heads" ? "param.head.0." : "param.";
  Json fusion = {{"type", golden_case.at("algorithm")}};
  if (!golden_case.at("model_weights").is_null()) fusion["weights"] = golden_case.at("model_weights");
  if (!fixture.keys("param.align.").empty()) fusion["project_to"] = golden_case.at("fused_width");
  const Json head = {{"type", classifies ? "mean_pool_linear" : "linear_ctc"},
                     {"projector_width", fixture[first + "projector.weight"].size(0)}};
  std::vector<InterfaceInput> upstreams;
  for (const at::Tensor& x : inputs.features) upstreams.push_back({x.size(2), x.size(3)});
  return Model({FieldReader(Json{{"type", "weighted_sum"}}, "cases.json"), FieldReader(fusion, "cases.json"),
                FieldReader(head, "cases.json")},
               upstreams, fixture[first + "classifier.weight"].size(0));
}

/// What passed between the parts of a model.
struct Record {
  at::Tensor fused;                   // input of the head, if there is one for all
  std::vector<at::Tensor> log_probs;  // of the head, per call
  at::Tensor logits;
};

Record run(const Model& model, const Parameters& parameters, const Inputs& inputs) {
  Record record;
  FusionParts parts = model.parts(parameters, inputs.lengths);
  const auto head = parts.head;
  parts.head = [&](std::size_t j, const at::Tensor& x) {
    record.fused = x;
    const at::Tensor logits = head(j, x);
    record.log_probs.push_back(logits.log_softmax(-1));
    return logits;
  };
  record.logits = model.fusion().forward(parameters.scope("fusion"), inputs.aligned, parts);
  return record;
}

/// The loss as trained; compares it and, of CTC, each utterance's.
at::Tensor compared_loss(const at::Tensor& logits, const Inputs& inputs, Fixture& input_file, Fixture& fixture,
                         Comparison& compare) {
  LossSum loss;
  if (logits.dim() == 2) {
    loss = cross_entropy(logits, input_file["labels"]);
  } else {
    const CtcTargets targets = {input_file["targets"], input_file["target_lengths"]};
    loss = ctc_loss(logits, inputs.lengths, targets);
    compare.tensor("nll", ctc_nll(logits.detach(), inputs.lengths, targets), fixture["nll"]);
  }
  const at::Tensor mean = (loss.sum / loss.count).reshape({1});
  compare.tensor("loss", mean, fixture["loss"]);
  return mean;
}

void check_fusion(const Json& golden_case, const Json& described, Fixture& input_file, Fixture& fixture,
                  Comparison& compare) {
  const std::string algorithm = golden_case.at("algorithm");
  if (!FusionRegistry::contains(algorithm)) throw DataError(fmt::format("fusion \"{}\" is not known yet", algorithm));
  const Inputs inputs(described, input_file, compare.dtype());
  const Model model = model_of(golden_case, fixture, inputs);
  std::vector<ParameterSpec> renamed = model.parameters();
  for (ParameterSpec& spec : renamed) spec.name = golden_name(spec.name);
  const at::Tensor flat = fixture.parameters("param.", renamed, compare.dtype());

  const Record record = run(model, view_parameters(model.parameters(), flat), inputs);
  compared_loss(record.logits, inputs, input_file, fixture, compare).sum().backward();

  // Frames past an utterance's length are nobody's.
  const auto valid = [&](const at::Tensor& x) { return x.dim() == 2 ? x : valid_frames(x, inputs.lengths); };
  const bool mixes_probabilities = !fixture.has("fused");
  if (!mixes_probabilities) compare.tensor("fused", valid(record.fused), valid(fixture["fused"]));
  compare.tensor("log_probs", valid(mixes_probabilities ? record.logits : record.log_probs.at(0)),
                 valid(fixture["log_probs"]));
  for (std::size_t i = 0; i < record.log_probs.size() && mixes_probabilities; ++i) {
    const std::string key = fmt::format("log_probs.{}", i);
    compare.tensor(key, valid(record.log_probs[i]), valid(fixture[key]));
  }
  const Parameters gradients = view_parameters(renamed, flat.grad());
  for (const auto& [name, gradient] : gradients.items())
    compare.tensor("grad." + name, gradient, fixture["grad." + name]);
  for (std::size_t i = 0; i < inputs.features.size(); ++i) {
    const std::string key = fmt::format("grad.features.{}", i);
    if (fixture.has(key)) compare.tensor(key, inputs.features[i].grad(), fixture[key]);
  }
}

/// A file that others share: its alignment, and that nothing in it goes unread.
void check_inputs(const Json& described, Fixture& fixture, Comparison& compare) {
  const Inputs inputs(described, fixture, compare.dtype());
  compare.tensor("fused_lengths", inputs.lengths, fixture["fused_lengths"]);
  for (const char* key : {"labels", "targets", "target_lengths"}) fixture[key];
}

}  // namespace

std::vector<GoldenLine> check_fusion(const std::filesystem::path& folder) {
  const auto check = [&](const Json& golden_case, Fixture& fixture, Comparison& compare) {
    if (!golden_case.contains("algorithm")) return check_inputs(golden_case, fixture, compare);
    const std::string inputs_case = golden_case.at("inputs_case");
    for (const Json& other : read_json(folder / "cases.json")) {
      if (other.at("case") != inputs_case) continue;
      Fixture input_file(folder / (inputs_case + ".safetensors"));
      return check_fusion(golden_case, other, input_file, fixture, compare);
    }
    throw DataError(fmt::format("cases.json does not describe \"{}\"", inputs_case));
  };
  return check_cases(folder, "fusion", check);
}

}  // namespace strata

#include "core/upstreams/checkpoint.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

/// What transformers' classes hold beside the bare model.
const std::vector<std::string> kMask = {"masked_spec_embed"};
const std::vector<std::string> kCtc = {"lm_head.weight", "lm_head.bias"};
const std::vector<std::string> kPreTraining = {"quantizer.codevectors",
                                               "quantizer.weight_proj.weight",
                                               "quantizer.weight_proj.bias",
                                               "project_hid.weight",
                                               "project_hid.bias",
                                               "project_q.weight",
                                               "project_q.bias"};
const std::vector<std::string> kFrameClassification = {"layer_weights", "classifier.weight", "classifier.bias"};
const std::vector<std::string> kSequenceClassification = {"layer_weights", "projector.weight", "projector.bias",
                                                          "classifier.weight", "classifier.bias"};
const std::vector<std::string> kXVector = {"layer_weights",        "projector.weight",         "projector.bias",
                                           "tdnn.0.kernel.weight", "tdnn.0.kernel.bias",       "tdnn.4.kernel.weight",
                                           "tdnn.4.kernel.bias",   "feature_extractor.weight", "feature_extractor.bias",
                                           "classifier.weight",    "classifier.bias",          "objective.weight"};

const std::string kStem = "feature_extractor.conv_layers.0.conv.weight", kLayer = "encoder.layers.0.layer_norm.bias";

NamedTensors checkpoint(const std::string& prefix, const std::vector<std::string>& head) {
  NamedTensors tensors;
  for (const std::string& name : {kStem, kLayer, kMask[0]}) tensors[prefix + name] = at::zeros({1});
  for (const std::string& name : head) tensors[name] = at::zeros({1});
  return tensors;
}

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

TEST(Checkpoint, LeavesOutTheHeadsOfAllClasses) {
  using Heads = std::vector<std::vector<std::string>>;
  const std::map<std::string, Heads> heads = {
      {"wav2vec2.", {kCtc, kPreTraining, kFrameClassification, kSequenceClassification, kXVector}},
      {"hubert.", {kCtc, kSequenceClassification}},
      {"wavlm.", {kCtc, kFrameClassification, kSequenceClassification, kXVector}},
      {"data2vec_audio.", {kCtc, kFrameClassification, kSequenceClassification, kXVector}},
  };
  for (const auto& [prefix, of_family] : heads) {
    for (const auto& head : of_family) {
      const NamedTensors bare = bare_model(checkpoint(prefix, head), prefix, "here");
      EXPECT_THAT(names_of(bare), testing::ElementsAre(kLayer, kStem)) << prefix << " " << head.back();
    }
  }
}

TEST(Checkpoint, NamesWhatItLeavesOutByParts) {
  testing::internal::CaptureStderr();
  std::vector<std::string> head = kXVector;
  head.insert(head.end(), kPreTraining.begin(), kPreTraining.end());
  bare_model(checkpoint("wav2vec2.", head), "wav2vec2.", "models/a");
  bare_model(checkpoint("wav2vec2.", head), "wav2vec2.", "models/a");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("models/a: left out, for no hidden state depends on them: classifier.* (2 weights), "
                             "feature_extractor.bias, feature_extractor.weight, layer_weights, masked_spec_embed, "
                             "objective.weight, project_hid.* (2 weights), project_q.* (2 weights), projector.* (2 "
                             "weights), quantizer.* (3 weights), tdnn.* (4 weights)\n"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1);

  testing::internal::CaptureStderr();
  bare_model({{kStem, at::zeros({1})}}, "hubert.", "models/b");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// What only begins like a head is not left out: it is then an unexpected weight.
TEST(Checkpoint, KeepsWhatIsOfNoHead) {
  const std::vector<std::string> others = {"encoder.quantizer.weight", "feature_extractor.weights", "tdnns"};
  NamedTensors tensors;
  for (const std::string& name : others) tensors[name] = at::zeros({1});
  EXPECT_EQ(names_of(bare_model(tensors, "hubert.", "here")), others);
  EXPECT_EQ(error_of<ConfigError>([] {
              bare_model({{kLayer, at::zeros({1})}, {"hubert." + kLayer, at::zeros({1})}}, "hubert.", "here");
            }),
            "here: weight " + kLayer + " is there twice, with and without \"hubert.\" before it");
}

}  // namespace
}  // namespace strata

// The checkpoints were written by torch.save in fairseq's layout, with weights of tiny random models;
// expected.safetensors holds what transformers computes with the same weights in float64 (the MR-HuBERT one is held
// against its folder).
#include "core/upstreams/fairseq_checkpoint.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sin.h>
#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/fairseq_config.h"
#include "core/upstreams/upstream.h"
#include "tests/errors.h"

namespace strata {
namespace {

using testing::HasSubstr;

const fs::path kFolder = "tests/core/upstreams/fairseq";

std::unique_ptr<Upstream> open(const fs::path& path) {
  return open_upstream(path.string(), {}, FieldReader(Json::object(), "study.json", "/upstreams/a"));
}

class Checkpoint : public testing::TestWithParam<std::string> {};

TEST_P(Checkpoint, GivesTheStatesOfTheSameWeightsElsewhere) {
  const auto upstream = open(kFolder / (GetParam() + ".pt"));
  const NamedTensors expected = read_safetensors(kFolder / "expected.safetensors");
  const at::Tensor wave = expected.at("wave").to(at::kDouble);
  EXPECT_THAT(upstream->default_taps(), testing::ElementsAre("h0", "h1", "h2"));
  const std::vector<at::Tensor> states = upstream->forward(wave, {0, 1, 2});
  for (std::size_t i = 0; i < states.size(); ++i) {
    const at::Tensor& want = expected.at(GetParam() + ".h" + std::to_string(i));
    ASSERT_EQ(states[i].sizes(), want.sizes());
    EXPECT_LT((states[i] - want).abs().max().item<double>(), 2e-7 * want.abs().max().item<double>()) << i;
  }
}

// hubert: cfg as OmegaConf nodes with an enum, pre-LN, normalised waves. wav2vec2: args as a Namespace, file of torch
// before 1.6, quantizer. fine_tuned: wav2vec_ctc, settings under w2v_args. data2vec: dictionaries, a teacher's weights.
INSTANTIATE_TEST_SUITE_P(Layouts, Checkpoint, testing::Values("hubert", "wav2vec2", "fine_tuned", "data2vec"),
                         [](const auto& info) { return info.param; });

TEST(FairseqCheckpoint, OfMrHubertIsThatOfItsFolder) {
  const FairseqCheckpoint checkpoint = read_fairseq_checkpoint(kFolder / "mr_hubert.pt");
  EXPECT_EQ(checkpoint.config["model_type"], "mr-hubert");
  EXPECT_EQ(checkpoint.config["conv_stride"], Json({5, 2, 2, 2, 2, 2, 2}));
  const fs::path folder = fs::path(testing::TempDir()) / "mr_hubert";
  write_file_atomically(folder / "config.json", checkpoint.config.dump());
  write_safetensors(folder / "model.safetensors", checkpoint.weights);
  const auto from_file = open(kFolder / "mr_hubert.pt"), from_folder = open(folder);
  EXPECT_THAT(from_file->default_taps(), testing::ElementsAre("e0.0", "e0.out", "m.0", "m.out", "d0.0", "d0.out"));
  const at::Tensor wave = at::sin(at::arange(2000, at::kFloat) / 7);
  for (std::size_t tap = 0; tap < 7; ++tap) {
    EXPECT_TRUE(from_file->forward(wave, {tap})[0].equal(from_folder->forward(wave, {tap})[0])) << tap;
  }
  EXPECT_EQ(from_file->fingerprint(), from_folder->fingerprint());
}

TEST(FairseqCheckpoint, IsRewrittenAsAConfig) {
  const FairseqCheckpoint checkpoint = read_fairseq_checkpoint(kFolder / "hubert.pt");
  EXPECT_EQ(checkpoint.config["model_type"], "hubert");
  EXPECT_EQ(checkpoint.config["feat_extract_norm"], "layer");
  EXPECT_EQ(checkpoint.config["do_stable_layer_norm"], true);
  EXPECT_EQ(checkpoint.config["conv_kernel"], Json({10, 3, 3, 3, 3, 2, 2}));
  EXPECT_TRUE(checkpoint.wave_norm.normalize);
  EXPECT_EQ(checkpoint.wave_norm.eps, 1e-5);
  EXPECT_FALSE(read_fairseq_checkpoint(kFolder / "wav2vec2.pt").wave_norm.normalize);
  EXPECT_EQ(read_fairseq_checkpoint(kFolder / "data2vec.pt").config["conv_pos_kernel_size"], 3);
}

/// hubert.pt with one text in its pickle replaced by another of the same length.
fs::path changed(const std::string& from, const std::string& to) {
  std::string content = read_file(kFolder / "data2vec.pt");
  const std::size_t at = content.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  content.replace(at, from.size(), to);
  const fs::path path = fs::path(testing::TempDir()) / "changed.pt";
  write_file_atomically(path, content);
  return path;
}

TEST(FairseqCheckpoint, SaysWhichSettingIsNotSupported) {
  const auto refusal = [](const std::string& from, const std::string& to) {
    const fs::path path = changed(from, to);
    return error_of<DataError>([&] { open(path); });
  };
  EXPECT_THAT(refusal("data2vec_audio", "data2vec_video"),
              HasSubstr("changed.pt.cfg.model._name: \"data2vec_video\" is not known; hubert, wav2vec2,"));
  EXPECT_THAT(refusal("transformer", "conformers!"),
              HasSubstr("changed.pt.cfg.model.layer_type: \"conformers!\" is not supported, only \"transformer\""));
  EXPECT_THAT(refusal("encoder_layers", "encoder_lagers"),
              HasSubstr("changed.pt.cfg.model.encoder_layers: this key is missing"));
  EXPECT_THAT(refusal("normalize", "normalise"), HasSubstr("changed.pt.cfg.task.normalize: this key is missing"));
  EXPECT_THAT(refusal("[(4, 10, 5)]", "[(4, 10, 5 ]"), HasSubstr("conv_feature_layers: \"[(4, 10, 5 ]"));
}

TEST(FairseqCheckpoint, RefusesOtherFiles) {
  const fs::path other = "tests/golden/upstreams/wav2vec2-group/variants/old-bin/pytorch_model.bin";
  EXPECT_THAT(error_of<DataError>([&] { open(other); }), HasSubstr("it has no weights"));
  EXPECT_THAT(error_of<DataError>([&] { open("tests/golden/upstreams/README.md"); }),
              HasSubstr("README.md: cannot be read as weights: it is neither a zip archive nor what torch"));
}

TEST(ConvLayers, AreReadFromTheExpression) {
  const ConvLayers layers = read_conv_layers("[(512, 10, 5)] + [(512,3,2)] * 4 + [(256,2,2), (8,1,1),]", "here");
  EXPECT_THAT(layers.dim, testing::ElementsAre(512, 512, 512, 512, 512, 256, 8));
  EXPECT_THAT(layers.kernel, testing::ElementsAre(10, 3, 3, 3, 3, 2, 1));
  EXPECT_THAT(layers.stride, testing::ElementsAre(5, 2, 2, 2, 2, 2, 1));
  for (const char* bad : {"", "[", "[(1,2)]", "[(1,2,3)] * 101", "[(1,2,3)] - [(1,2,3)]", "__import__('os')",
                          "[(1,2,3)] * 99 + [(1,2,3)] * 99", "[(99999999999999999999,1,1)]"}) {
    EXPECT_THAT(error_of<DataError>([&] { read_conv_layers(bad, "here"); }), HasSubstr("here: \"")) << bad;
  }
}

}  // namespace
}  // namespace strata

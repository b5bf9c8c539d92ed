// The folders that a pre-training writes, in the hands of Hugging Face's transformers where a Python has it.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <regex>

#include "core/base/file.h"
#include "core/tensor/safetensors.h"
#include "tests/program/program.h"

namespace strata {
namespace {

const char* const kStudy = R"({
  "name": "tones", "output": "output", "corpora": { "tones": "manifests" },
  "pretrain": {
    "speech": { "train": ["tones"], "min_seconds": 0.3, "max_seconds": 1 },
    "models": {
      "hubert_group":  { "steps": 2, "batch_seconds": 3, "units": { "kmeans": { "starts": 1 } },
        "objective": { "type": "hubert", "conv_channels": 16, "hidden_size": 32, "heads": 2, "intermediate_size": 64,
                       "layers": 4, "classes": 6, "final_dim": 16 } },
      "hubert_stable": { "steps": 2, "batch_seconds": 3, "units": { "kmeans": { "starts": 1 } },
        "objective": { "type": "hubert", "conv_channels": 16, "hidden_size": 32, "heads": 2, "intermediate_size": 64,
                       "layers": 4, "classes": 6, "final_dim": 16, "conv_bias": true, "feat_extract_norm": "layer",
                       "do_stable_layer_norm": true } },
      "data2vec":      { "steps": 2, "batch_seconds": 3,
        "objective": { "type": "data2vec", "conv_channels": 16, "hidden_size": 32, "heads": 2, "intermediate_size": 64,
                       "layers": 4, "conv_bias": true } } } } })";

std::string python() {
  const char* given = std::getenv("STRATA_PEER_PYTHON");
  return given == nullptr ? "python3" : given;
}

bool has_transformers() {
  return std::system((python() + " -c 'import safetensors, soundfile, torch, transformers' 2>/dev/null").c_str()) == 0;
}

/// Of which kind on the list a folder is; "" for an architecture that transformers does not have.
std::string kind_of(const Json& config) {
  const std::string type = config.at("model_type");
  if (type == "data2vec-audio") return "data2vec";
  if (type == "hubert") return config.at("do_stable_layer_norm").get<bool>() ? "hubert_stable" : "hubert_group";
  EXPECT_EQ(type, "mr-hubert");
  return "";
}

Json keys_of(const fs::path& file) {
  const Json all = read_json(file);
  Json keys = Json::array();
  for (const auto& [key, value] : all.items()) keys.push_back(key);
  return keys;
}

/// What is in a folder: the files' keys; of weights the names, any number as *, and how many there are of each.
Json contents(const fs::path& folder) {
  Json weights = Json::object();
  for (const auto& [name, tensor] : read_safetensors(folder / "model.safetensors")) {
    Json& count = weights[std::regex_replace(name, std::regex("[.][0-9]+[.]"), ".*.")];
    count = count.is_null() ? 1 : count.get<int>() + 1;
  }
  return {{"config.json", keys_of(folder / "config.json")},
          {"preprocessor_config.json", keys_of(folder / "preprocessor_config.json")},
          {"model.safetensors", weights}};
}

/// What must be in it: what is on the list, with as many positional convolutions as config.json says.
Json expected_contents(const Json& list, const Json& config) {
  Json expected = list.at(kind_of(config));
  for (auto& [name, count] : expected.at("model.safetensors").items()) {
    if (name.starts_with("encoder.pos_conv_embed.layers.")) count = config.at("num_conv_pos_embeddings");
  }
  return expected;
}

class Transformers : public testing::Test {
 protected:
  void SetUp() override {
    place_.write("pretrain.json", kStudy);
    const RunResult run = place_.run("pretrain pretrain.json");
    ASSERT_EQ(run.code, 0) << run.err;
    for (const char* name : {"hubert_group", "hubert_stable", "data2vec"})
      folders_.push_back(place_.folder() / "output/pretrain/models" / name);
    for (const auto& entry : fs::directory_iterator("configs/upstreams")) {
      if (!entry.is_directory() || kind_of(read_json(entry.path() / "config.json")).empty()) continue;
      folders_.push_back(fs::absolute(entry.path()));
    }
  }

  const Workplace place_;
  std::vector<fs::path> folders_;
};

TEST_F(Transformers, FindsEveryWeightAndComputesTheSameStates) {
  EXPECT_GT(folders_.size(), 3u) << "the embedded ones, too";
  const Json list = read_json("tests/program/hugging_face_folders.json");
  for (const fs::path& folder : folders_)
    EXPECT_EQ(contents(folder).dump(1), expected_contents(list, read_json(folder / "config.json")).dump(1)) << folder;
  if (!has_transformers()) {
    std::printf("%s has no transformers: only files and keys were checked; STRATA_PEER_PYTHON names another Python\n",
                python().c_str());
    return;
  }
  const std::string script = fs::absolute("tests/core/pretraining/against_transformers.py");
  for (const fs::path& folder : folders_) {
    const RunResult encoded =
        place_.run("encode " + folder.string() + " manifests/audio/u000.wav --output states.safetensors");
    ASSERT_EQ(encoded.code, 0) << encoded.err;
    const std::string command = "cd " + place_.folder().string() + " && " + python() + " " + script + " " +
                                folder.string() + " manifests/audio/u000.wav states.safetensors >told 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << folder;
    std::printf("%s\n%s", folder.c_str(), place_.read("told").c_str());
  }
}

}  // namespace
}  // namespace strata

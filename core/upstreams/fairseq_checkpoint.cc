#include "core/upstreams/fairseq_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/upstreams/fairseq_config.h"
#include "core/upstreams/torch_file.h"

namespace strata {
namespace {

constexpr double kFairseqEps = 1e-5;

/// The settings of the pre-trained encoder and of its task, wherever the file has them.
struct Settings {
  FairseqConfig model, task;
  std::string name;  // as fairseq registers the model
};

[[noreturn]] void fail(const std::string& place, const std::string& message) {
  throw DataError(fmt::format("{}: not a checkpoint of fairseq that can be read: {}", place, message));
}

// Checkpoints that know nothing of their name are told by the settings that only one model has.
std::string name_of(const FairseqConfig& model) {
  const std::string name = model.text("_name", model.text("arch", ""));
  if (!name.empty()) return name;
  if (model.find("label_rate_ratios")) return "multires_hubert";
  if (model.find("average_top_k_layers")) return "data2vec_audio";
  if (model.find("quantize_targets")) return "wav2vec2";
  if (model.find("label_rate")) return "hubert";
  model.fail("_name", "this key is missing");
}

Settings find_settings(const FairseqConfig& root, const std::string& place) {
  const auto in = [](const FairseqConfig& whole) {
    const FairseqConfig model = whole.child("model").value_or(whole);  // a Namespace has all in one
    return Settings{model, whole.child("task").value_or(whole), name_of(model)};
  };
  if (const auto model = root.child("model_cfg")) {
    return {*model, root.child("task_cfg").value_or(*model), name_of(*model)};
  }
  const auto whole = root.find("cfg") ? root.child("cfg") : root.child("args");
  if (!whole) fail(place, "it has neither cfg nor args");
  const Settings outer = in(*whole);
  const auto pretrained = outer.model.child("w2v_args");  // fine-tuned: the encoder's own settings are kept in these
  return pretrained ? in(*pretrained) : outer;
}

// Settings under which fairseq's encoder is not the one that is built here.
void refuse_unsupported(const FairseqConfig& model) {
  for (const char* key : {"quantize_input", "use_conformer", "use_multi_stream"}) {
    if (model.flag(key, false)) model.fail(key, "true is not supported; it would change the hidden states");
  }
  const auto only = [&](const char* key, const std::string& supported) {
    const std::string found = model.text(key, supported);
    if (found != supported)
      model.fail(key, fmt::format("\"{}\" is not supported, only \"{}\"", printable(found), supported));
  };
  only("layer_type", "transformer");
  only("activation_fn", "gelu");
}

void add_stem(const FairseqConfig& model, Json& config) {
  const ConvLayers layers =
      read_conv_layers(model.text("conv_feature_layers", ""), model.place() + ".conv_feature_layers");
  config["conv_dim"] = layers.dim;
  config["conv_kernel"] = layers.kernel;
  config["conv_stride"] = layers.stride;
  config["conv_bias"] = model.require("conv_bias");
}

Json multi_resolution_config(const FairseqConfig& model, const FairseqConfig& task) {
  Json config = {{"model_type", "mr-hubert"}, {"normalize", task.require("normalize")}};
  add_stem(model, config);
  for (const char* key :
       {"extractor_mode", "layer_norm_first", "encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim",
        "encoder_attention_heads", "label_rate_ratios", "conv_pos", "conv_pos_groups", "use_plain_updownsample"}) {
    config[key] = model.require(key);
  }
  for (const char* key : {"conv_adapator_kernal", "override_encoder_layers", "residual_scale", "pos_conv_depth"}) {
    if (model.find(key)) config[key] = model.require(key);
  }
  return config;
}

// fairseq's kernel of one of several positional convolutions, of conv_pos / depth frames but no less than 3.
std::int64_t block_kernel(const FairseqConfig& model, std::int64_t depth) {
  const Json frames = model.require("conv_pos");
  if (!frames.is_number_integer()) model.fail("conv_pos", "it is no integer");
  return std::max<std::int64_t>(3, frames.get<std::int64_t>() / depth);
}

Json speech_config(const Settings& settings, const std::string& type) {
  const FairseqConfig& model = settings.model;
  Json config = {{"model_type", type},
                 {"hidden_size", model.require("encoder_embed_dim")},
                 {"num_hidden_layers", model.require("encoder_layers")},
                 {"num_attention_heads", model.require("encoder_attention_heads")},
                 {"intermediate_size", model.require("encoder_ffn_embed_dim")},
                 {"num_conv_pos_embedding_groups", model.require("conv_pos_groups")}};
  add_stem(model, config);
  const std::string mode = model.text("extractor_mode", "");
  if (mode != "default" && mode != "layer_norm")
    model.fail("extractor_mode", fmt::format("\"{}\" is neither default nor layer_norm", printable(mode)));
  const Json pre_norm = model.require("layer_norm_first");
  const Json depth = model.find("pos_conv_depth") ? model.require("pos_conv_depth") : Json(1);
  if (!depth.is_number_integer() || depth < 1) model.fail("pos_conv_depth", "it is no integer of at least 1");
  if (type != "data2vec-audio") {
    if (depth != 1) model.fail("pos_conv_depth", fmt::format("{} is not supported for {}", depth.dump(), type));
    config["feat_extract_norm"] = mode == "layer_norm" ? "layer" : "group";
    config["do_stable_layer_norm"] = pre_norm;
    config["num_conv_pos_embeddings"] = model.require("conv_pos");
    return config;
  }
  if (mode != "layer_norm") model.fail("extractor_mode", "data2vec is supported with layer_norm only");
  if (pre_norm != Json(false)) model.fail("layer_norm_first", "data2vec is supported without it only");
  if (depth == 1) model.fail("pos_conv_depth", "data2vec is supported with several positional convolutions only");
  config["num_conv_pos_embeddings"] = depth;
  config["conv_pos_kernel_size"] = block_kernel(model, depth.get<std::int64_t>());
  return config;
}

Json config_of(const Settings& settings) {
  refuse_unsupported(settings.model);
  const std::pair<const char*, const char*> types[] = {
      {"hubert", "hubert"}, {"wav2vec2", "wav2vec2"}, {"data2vec_audio", "data2vec-audio"}};
  if (settings.name == "multires_hubert") return multi_resolution_config(settings.model, settings.task);
  for (const auto& [name, type] : types) {
    if (settings.name == name) return speech_config(settings, type);
  }
  settings.model.fail("_name", fmt::format("\"{}\" is not known; hubert, wav2vec2, data2vec_audio and "
                                           "multires_hubert are, and models fine-tuned from them",
                                           printable(settings.name)));
}

}  // namespace

FairseqCheckpoint read_fairseq_checkpoint(const std::filesystem::path& path) {
  const TorchFile file(path, TorchFile::Unknown::kOpaque);
  if (!file.root().as<pickle::Dict>()) fail(path.string(), "it holds no dictionary");
  const FairseqConfig root(file.root(), path.string());
  const pickle::Value* weights = root.find(root.find("model_cfg") ? "model_weight" : "model");
  if (!weights) fail(path.string(), "it has no weights");
  const Settings settings = find_settings(root, path.string());
  const Json normalize = settings.task.require("normalize");
  if (!normalize.is_boolean()) settings.task.fail("normalize", "it is neither true nor false");
  FairseqCheckpoint checkpoint;
  checkpoint.config_place = settings.model.place();
  checkpoint.config = config_of(settings);
  checkpoint.weights = file.state_dict(*weights, {"_ema"});  // data2vec keeps its teacher's weights as one entry
  checkpoint.wave_norm = {normalize.get<bool>(), kFairseqEps};
  return checkpoint;
}

}  // namespace strata

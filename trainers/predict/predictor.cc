#include "trainers/predict/predictor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/metrics/ctc_decoding.h"
#include "core/tensor/safetensors.h"
#include "data/store/int8.h"
#include "trainers/extract/describe_store.h"
#include "trainers/extract/stored_features.h"
#include "trainers/study/expand.h"

namespace strata {
namespace {

Json read_trial(const fs::path& folder) {
  if (!fs::exists(folder / "trial.json")) {
    throw ConfigError(fmt::format(
        "{}: there is no trial.json here; give the folder of a finished trial, OUTPUT/trials/<id>", folder.string()));
  }
  if (!fs::exists(folder / "best.safetensors")) {
    throw ConfigError(fmt::format(
        "{}: the trial has no best.safetensors: its study keeps no weights (\"keep\": \"none\")", folder.string()));
  }
  return read_json(folder / "trial.json");
}

UpstreamEntry read_entry(Json source) {
  UpstreamEntry entry;
  entry.model = source.at("model");
  entry.dtype = source.value("dtype", entry.dtype);
  entry.taps = source.value("taps", entry.taps);
  for (const char* key : {"model", "dtype", "taps", "compression"}) source.erase(key);
  entry.options = std::move(source);
  return entry;
}

std::size_t tap_index(const std::vector<Tap>& taps, const std::string& name, const std::string& place) {
  const auto found = std::find_if(taps.begin(), taps.end(), [&](const Tap& tap) { return tap.name == name; });
  if (found == taps.end()) throw DataError(fmt::format("{}: the upstream has no tap \"{}\"", place, name));
  return static_cast<std::size_t>(found - taps.begin());
}

/// The layers the interface saw: as recorded; in older records, those it names or else the stored ones that are listed.
std::vector<std::string> layer_names(const Json& trial, const std::string& upstream, const StoreDescription& store) {
  const Json recorded = trial.value("layers", Json::object());
  if (recorded.contains(upstream)) return recorded.at(upstream);
  std::vector<std::string> names = tap_names(trial.at("config"));
  if (!names.empty()) return names;
  for (const Tap& tap : store.spec.taps) {
    if (tap.listed) names.push_back(tap.name);
  }
  return names;
}

std::int64_t count_characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

bool is_mark(const std::string& symbol) { return symbol.starts_with('<') && symbol.ends_with('>'); }

}  // namespace

Predictor::Predictor(const fs::path& folder, const fs::path& hub_cache, const ModelPlaces& models)
    : file_((folder / "trial.json").string()) {
  const Json trial = read_trial(folder);
  try {
    const Json& config = trial.at("config");
    labels_ = trial.at("labels").get<std::vector<std::string>>();
    effects_ = make_effects(config.at("task").at("effects"), file_, "/config/task/effects");
    const auto names = trial.at("names").at("upstreams").get<std::vector<std::string>>();
    for (const auto& [name, unused] : models) {
      if (std::find(names.begin(), names.end(), name) == names.end())
        throw ConfigError(fmt::format("{}: the trial has no upstream \"{}\"", file_, name));
    }
    for (std::size_t u = 0; u < names.size(); ++u) open_source(names[u], trial, u, hub_cache, models);
    std::vector<InterfaceInput> inputs;
    std::vector<Tap> all_taps;
    for (const Source& s : sources_) {
      const LoaderSource source{nullptr, s.upstream->spec().taps, s.taps};
      for (const std::size_t tap : s.taps) all_taps.push_back(source.taps[tap]);
      inputs.push_back(interface_input(source));
    }
    alignment_.emplace(alignment_rule(config), all_taps);
    const auto part = [&](const char* key) {
      return FieldReader(config.at(key), file_, std::string("/config/") + key);
    };
    model_ = std::make_unique<Model>(ModelParts{part("interface"), part("fusion"), part("head")}, inputs,
                                     static_cast<std::int64_t>(labels_.size()));
  } catch (const Json::exception& e) {
    throw DataError(fmt::format("{}: not a valid record of a trial: {}", file_, e.what()));
  }
  const fs::path path = folder / "best.safetensors";
  const NamedTensors weights = read_safetensors(path);
  std::vector<ParameterSpec> specs = model_->parameters();
  for (ParameterSpec& spec : model_->fitted()) specs.push_back(std::move(spec));
  for (const ParameterSpec& spec : specs) {
    const auto found = weights.find(spec.name);
    if (found == weights.end() || found->second.sizes() != at::IntArrayRef(spec.shape)) {
      throw DataError(
          fmt::format("{}: \"{}\" is missing or has another shape than the trial's model", path.string(), spec.name));
    }
    parameters_.add(spec.name, found->second);
  }
}

void Predictor::open_source(const std::string& name, const Json& trial, std::size_t index, const fs::path& hub_cache,
                            const ModelPlaces& models) {
  UpstreamEntry entry = read_entry(trial.at("upstreams").at(name));
  // Paths in the study start from its root; paths on the command line from the working folder.
  ModelSearch search{trial.value("root", "."), hub_cache};
  if (const auto given = models.find(name); given != models.end()) {
    entry.model = given->second;
    search.root = ".";
  }
  Source source;
  source.upstream = open_upstream(entry.model, search, FieldReader(entry.options, file_, "/upstreams/" + name));
  const StoreDescription store = describe_store(name, entry, *source.upstream, file_);
  if (store.fingerprint != trial.at("config").at("upstreams").at(index).at("fingerprint")) {
    throw ConfigError(
        fmt::format("{}: {} is not the upstream \"{}\" that the trial was trained on (another fingerprint)", file_,
                    entry.model, name));
  }
  source.type = store.type;
  for (const std::string& layer : layer_names(trial, name, store))
    source.taps.push_back(tap_index(source.upstream->spec().taps, layer, file_));
  if (source.taps.empty()) throw DataError(fmt::format("{} /layers/{}: there are none", file_, name));
  sources_.push_back(std::move(source));
}

std::vector<at::Tensor> Predictor::features(const at::Tensor& wave) const {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  std::vector<std::vector<at::Tensor>> layers;
  for (const Source& s : sources_) {
    layers.push_back(features_to_store(*s.upstream, wave, s.taps, s.type));
    for (std::size_t l = 0; l < s.taps.size(); ++l) {
      at::Tensor& frames = layers.back()[l];
      frames = alignment_->apply(as_read(frames, s.type), s.upstream->spec().taps[s.taps[l]]).to(at::kFloat);
      shortest = std::min(shortest, frames.size(0));
    }
  }
  if (shortest < 1) throw DataError("the audio is too short: it gives no frame");
  std::vector<at::Tensor> aligned;
  for (auto& of_upstream : layers) {
    for (at::Tensor& frames : of_upstream) frames = frames.narrow(0, 0, shortest);
    aligned.push_back(at::stack(of_upstream, 1).unsqueeze(0));  // [1, T, L, D]
  }
  return aligned;
}

Json Predictor::predict(std::vector<float> samples) const {
  const at::NoGradGuard no_grad;
  samples = apply_effects(effects_, std::move(samples));
  const at::Tensor wave = at::from_blob(samples.data(), {static_cast<std::int64_t>(samples.size())}, at::kFloat);
  const std::vector<at::Tensor> inputs = features(wave);
  const at::Tensor logits = model_->forward(parameters_, inputs, at::full({1}, inputs.front().size(1), at::kLong))[0];
  const at::Tensor best = logits.argmax(-1).contiguous();
  if (model_->output() == HeadOutput::kFrameLogits) {
    const auto* path = best.const_data_ptr<std::int64_t>();
    return {{"text", ctc_text({path, path + best.numel()}, labels_)}};
  }
  const auto guess = best.item<std::int64_t>();
  return {{"predicted", labels_.at(static_cast<std::size_t>(guess))},
          {"probability", at::softmax(logits, -1)[guess].item<double>()}};
}

std::string ctc_text(const std::vector<std::int64_t>& path, const std::vector<std::string>& symbols) {
  std::vector<std::int64_t> silent = {0};
  bool words = false;
  for (std::size_t s = 1; s < symbols.size(); ++s) {
    const std::string& symbol = symbols[s];
    if (symbol == "<pad>" || symbol == "<s>" || symbol == "</s>" || symbol == "<eos>")
      silent.push_back(static_cast<std::int64_t>(s));
    words = words || (count_characters(symbol) > 1 && !is_mark(symbol));
  }
  const std::vector<std::int64_t> ids = ctc_collapse(path, silent);
  if (words) return spaced_text(ids, symbols);
  if (symbols.front() == "<s>") {
    std::string text = letter_text(ids, symbols);
    if (text.ends_with(' ')) text.pop_back();
    return text;
  }
  std::string text;
  for (const std::int64_t id : ids) text += symbols.at(static_cast<std::size_t>(id));
  return text;
}

}  // namespace strata

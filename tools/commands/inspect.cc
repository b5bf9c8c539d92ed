#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/safetensors.h"
#include "data/manifest/manifest.h"
#include "data/store/apart.h"
#include "data/store/store.h"
#include "tools/commands/session.h"
#include "trainers/report/results.h"

namespace strata {
namespace {

std::string size_text(std::uintmax_t bytes) { return bytes < 10'000'000 ? fmt::format("{:.1f} kB", bytes / 1e3) : fmt::format("{:.1f} MB", bytes / 1e6); }

void inspect_safetensors(const fs::path& path) {
  std::map<std::string, std::string> metadata;
  const NamedTensors tensors = read_safetensors(path, &metadata);
  fmt::print("{}: {} tensors, {}\n", path.string(), tensors.size(), size_text(fs::file_size(path)));
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const auto size : tensor.sizes()) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    fmt::print("  {} [{}] {}\n", name, shape, c10::toString(tensor.scalar_type()));
  }
  for (const auto& [key, value] : metadata) fmt::print("  {}: {}\n", key, value.size() > 200 ? value.substr(0, 200) + " .." : value);
}

void inspect_long_utterances(const fs::path& path) {
  const Json record = read_json(path);
  if (!record.is_object() || !record.contains("utterances")) throw DataError(fmt::format("{}: not a record of long utterances; `strata extract` makes it anew", path.string()));
  fmt::print("    {} utterances are computed in windows: {}\n", record["utterances"].size(), record.value("change", Json()).dump());
}

void inspect_upstream_store(const fs::path& folder) {
  const FeatureStore store = FeatureStore::open(folder);
  const StoreDescription& d = store.description();
  fmt::print("{}: features of upstream {} in {}, fingerprint {}\n", folder.string(), d.upstream, hdf5::name_of(d.type), d.fingerprint.substr(0, 16));
  for (const Tap& tap : d.spec.taps) fmt::print("  tap {}: width {}, a frame every {} samples\n", tap.name, tap.width, tap.hop_samples);
  fmt::print("  every frame sees {} samples before the layers\n", d.spec.receptive_field_samples);
  fmt::print("  provenance: {}\n", d.provenance.dump());
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    const CorpusPlan plan = CorpusPlan::load(entry.path());
    std::uintmax_t bytes = 0;
    std::size_t utterances = 0;
    for (const ShardPlan& shard : plan.shards()) {
      utterances += shard.ids.size();
      if (fs::exists(entry.path() / shard.name)) bytes += fs::file_size(entry.path() / shard.name);
    }
    fmt::print("  corpus {}: {} utterances in {} shards, {} of them not there, {}\n", entry.path().filename().string(), utterances, plan.shards().size(), plan.missing().size(), size_text(bytes));
    const fs::path cut = entry.path() / "long-utterances.json";
    if (fs::exists(cut)) inspect_long_utterances(cut);
  }
}

std::string shard_text(const fs::path& path, const StoreDescription& store) {
  const ShardReader shard(path, store.spec.taps, store.type);
  std::string text = fmt::format("{}: {} utterances, {}, {} could not be decoded\n", path.string(), shard.ids().size(), size_text(fs::file_size(path)), shard.failed().size());
  for (std::size_t t = 0; t < store.spec.taps.size(); ++t) {
    text += fmt::format("  /taps/{}/frames [{}, {}] {}\n", store.spec.taps[t].name, shard.tap(t).frames.rows, shard.tap(t).frames.columns, hdf5::name_of(store.type));
  }
  for (const FailedUtterance& f : shard.failed()) text += fmt::format("  failed: {}: {}\n", f.id, f.reason);
  return text;
}

void inspect_shard(const fs::path& path) {
  const FeatureStore store = FeatureStore::open(path.parent_path().parent_path());
  fmt::print("{}", apart(path, [&] { return shard_text(path, store.description()); }));
}

void inspect_corpus(const fs::path& folder) {
  const Corpus corpus = Corpus::read(folder, false);
  fmt::print("{}: corpus {}, {} utterances\n", folder.string(), corpus.name(), corpus.utterances().size());
  for (const Split& split : corpus.splits()) fmt::print("  {}.{}: {} utterances\n", split.task, split.name, split.utterances.size());
}

void inspect_output(const fs::path& folder) {
  const StudyResults results = load_results(folder);
  std::map<std::string, int> counts;
  for (const TrialResult& trial : results.trials) counts[trial.status] += 1;
  fmt::print("{}: output of study {}, {} trials\n", folder.string(), results.name, results.trials.size());
  for (const auto& [status, count] : counts) fmt::print("  {}: {}\n", status, count);
}

void inspect_model(const std::string& model, const ModelSearch& search) {
  const auto upstream = open_upstream(model, search, FieldReader(Json::object(), "strata inspect"));
  fmt::print("{}: an upstream, fingerprint {}, at least {} samples, receptive field {} samples\n", model, upstream->fingerprint().substr(0, 16), upstream->minimum_samples(), upstream->spec().receptive_field_samples);
  for (const Tap& tap : upstream->spec().taps) fmt::print("  tap {}: width {}, a frame every {} samples\n", tap.name, tap.width, tap.hop_samples);
}

int inspect(const std::string& given, const ModelSearch& search) {
  const fs::path path = given;
  if (path.extension() == ".safetensors" && fs::is_regular_file(path)) {
    inspect_safetensors(path);
  } else if (path.extension() == ".h5" && fs::is_regular_file(path)) {
    inspect_shard(fs::absolute(path));
  } else if (fs::exists(path / "study.json")) {
    inspect_output(path);
  } else if (fs::exists(path / "store.json")) {
    inspect_upstream_store(path);
  } else if (fs::exists(path / "utterances.jsonl")) {
    inspect_corpus(path);
  } else if (fs::is_directory(path) && !fs::exists(path / "config.json")) {
    bool any = false;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (!fs::exists(entry.path() / "store.json")) continue;
      inspect_upstream_store(entry.path());
      any = true;
    }
    if (!any) throw ConfigError(fmt::format("{}: this is no store, corpus, output or model (no store.json, utterances.jsonl, study.json or config.json in it)", given));
  } else {
    inspect_model(given, search);
  }
  return kExitDone;
}

}  // namespace

void add_inspect(CLI::App& app, Session& session) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("inspect", "Says what a store, shard, checkpoint, model, corpus or output holds.");
  command->add_option("path", *path, "what to look at")->required();
  command->footer("Example:\n  strata inspect features/hubert");
  command->callback([&session, path] { session.run = [&session, path] { return inspect(*path, session.model_search()); }; });
}

}  // namespace strata

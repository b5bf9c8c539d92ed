#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/tensor/safetensors.h"
#include "data/manifest/manifest.h"
#include "data/store/apart.h"
#include "data/store/store.h"
#include "tools/commands/session.h"
#include "trainers/extract/long_utterances.h"
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

/// What is known of a generation, or of a whole corpus.
struct Holding {
  std::vector<std::string> taps;
  std::size_t shards = 0, missing = 0, planned = 0, failed = 0;
  std::int64_t samples = 0;
  std::uintmax_t bytes = 0;

  std::string text() const {
    return fmt::format("{} utterances in {} shards, {} of them not there, {}, {:.2f} h of audio stored{}", planned,
                       shards, missing, size_text(bytes), static_cast<double>(samples) / kSampleRateHz / 3600,
                       failed > 0 ? fmt::format(", {} could not be decoded", failed) : "");
  }
};

/// Adds a shard. One that is broken is named and counts by its plan and size only.
void add_shard(const FeatureStore& store, const fs::path& folder, const ShardPlan& plan, Holding& holding) {
  holding.shards += 1;
  holding.planned += plan.ids.size();
  const fs::path path = folder / plan.name;
  if (!fs::exists(path)) {
    holding.missing += 1;
    return;
  }
  holding.bytes += fs::file_size(path);
  try {
    const std::string answer = apart(path, [&] {
      const ShardReader shard = store.open_shard(folder.filename(), plan);
      std::int64_t samples = 0;
      for (const std::int64_t of_one : shard.samples()) samples += of_one;
      return Json{{"samples", samples}, {"failed", shard.failed().size()}}.dump();
    });
    const Json found = Json::parse(answer);
    holding.samples += found.at("samples").get<std::int64_t>();
    holding.failed += found.at("failed").get<std::size_t>();
  } catch (const DataError& e) {
    fmt::print("  {}\n", e.what());
  }
}

void inspect_stored_corpus(const FeatureStore& store, const fs::path& folder) {
  const CorpusPlan plan = CorpusPlan::load(folder);
  std::vector<Holding> generations;
  std::vector<hdf5::Compression> compressions;
  std::set<std::string> ids;
  for (const ShardPlan& shard : plan.shards()) {
    ids.insert(shard.ids.begin(), shard.ids.end());
    if (generations.size() <= shard.generation) {
      generations.resize(shard.generation + 1);
      compressions.resize(shard.generation + 1);
    }
    Holding& generation = generations[shard.generation];
    compressions[shard.generation] = shard.compression;
    if (generation.taps.empty()) {
      for (const Tap& tap : store.taps_of(shard)) generation.taps.push_back(tap.name);
    }
    add_shard(store, folder, shard, generation);
  }
  fmt::print("  corpus {}: {} utterances in {} generations of shards\n", folder.filename().string(), ids.size(),
             generations.size());
  for (std::size_t g = 0; g < generations.size(); ++g) {
    if (generations[g].shards == 0) continue;  // its taps were taken away
    const std::string& packing = hdf5::name_of(compressions[g]);
    fmt::print("    generation {}: {}; taps {}; compression {}\n", g, generations[g].text(),
               fmt::join(generations[g].taps, ", "), packing);
  }
  const fs::path cut = folder / "long-utterances.json";
  if (fs::exists(cut)) fmt::print("    {}\n", long_utterances_text(cut));
}

void inspect_upstream_store(const fs::path& folder) {
  const FeatureStore store = FeatureStore::open(folder);
  const StoreDescription& d = store.description();
  fmt::print("{}: features of upstream {} in {}, fingerprint {}\n", folder.string(), d.upstream, hdf5::name_of(d.type), d.fingerprint.substr(0, 16));
  for (const Tap& tap : d.spec.taps) fmt::print("  tap {}: width {}, a frame every {} samples\n", tap.name, tap.width, tap.hop_samples);
  fmt::print("  an hour of audio is {} before compression; what is stored from now on has compression {}\n",
             size_text(static_cast<std::uintmax_t>(bytes_per_sample(d.spec.taps, d.type) * kSampleRateHz * 3600)),
             hdf5::name_of(d.compression));
  fmt::print("  every frame sees {} samples before the layers\n", d.spec.receptive_field_samples);
  fmt::print("  provenance: {}\n", d.provenance.dump());
  std::set<fs::path> corpora;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) corpora.insert(entry.path());
  }
  for (const fs::path& corpus : corpora) inspect_stored_corpus(store, corpus);
}

std::string shard_text(const fs::path& path, const std::vector<Tap>& taps, hdf5::StoredType type) {
  const ShardReader shard(path, taps, type);
  std::string text =
      fmt::format("{}: {} utterances, {}, compression {}, {} could not be decoded\n", path.string(), shard.ids().size(),
                  size_text(fs::file_size(path)), hdf5::name_of(shard.compression()), shard.failed().size());
  for (std::size_t t = 0; t < taps.size(); ++t) {
    text += fmt::format("  /taps/{}/frames [{}, {}] {}\n", taps[t].name, shard.tap(t).frames.rows,
                        shard.tap(t).frames.columns, hdf5::name_of(type));
  }
  for (const FailedUtterance& f : shard.failed()) text += fmt::format("  failed: {}: {}\n", f.id, f.reason);
  return text;
}

void inspect_shard(const fs::path& path) {
  const FeatureStore store = FeatureStore::open(path.parent_path().parent_path());
  const CorpusPlan plan = CorpusPlan::load(path.parent_path());
  const auto planned = std::ranges::find(plan.shards(), path.filename().string(), &ShardPlan::name);
  if (planned == plan.shards().end())
    throw ConfigError(fmt::format("{}: the store has not planned this shard", path.string()));
  fmt::print("{}", apart(path, [&] { return shard_text(path, store.taps_of(*planned), store.description().type); }));
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

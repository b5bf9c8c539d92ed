#include "data/store/strip.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

struct Arguments {
  std::string store, upstream;
  std::vector<std::string> taps, corpora;
  bool yes = false;
};

/// The upstreams of a store, or the one that is named.
std::vector<fs::path> upstreams_of(const Arguments& given) {
  std::vector<fs::path> folders;
  if (!fs::is_directory(given.store)) throw ConfigError(fmt::format("{}: there is no such folder", given.store));
  for (const auto& entry : fs::directory_iterator(given.store)) {
    const bool wanted = given.upstream.empty() || entry.path().filename() == given.upstream;
    if (wanted && fs::exists(entry.path() / "store.json")) folders.push_back(entry.path());
  }
  if (folders.empty())
    throw ConfigError(fmt::format("{}: there is no feature store {}below it", given.store,
                                  given.upstream.empty() ? "" : "of upstream " + given.upstream + " "));
  std::ranges::sort(folders);
  return folders;
}

int strip_store(const Arguments& given) {
  if (given.taps.empty() && given.corpora.empty())
    throw ConfigError("strip: nothing to take away; give --drop-taps or --drop-corpus");
  const std::vector<fs::path> folders = upstreams_of(given);
  if (folders.size() > 1 && !given.taps.empty())
    throw ConfigError(fmt::format("{}: it holds several upstreams; say whose taps go with --upstream", given.store));
  const StripRequest request{given.taps, given.corpora};
  const std::unique_ptr<Owner> owner = given.yes ? std::make_unique<Owner>(given.store, "strata strip") : nullptr;
  for (const fs::path& folder : folders) {
    const FeatureStore store = FeatureStore::open(folder);
    const StripForecast done = given.yes ? strip(store, request) : forecast_strip(store, request);
    fmt::print("{}: {} {} shards without {} and {} {} shards, which {} {:.1f} MB\n", folder.string(),
               given.yes ? "rewrote" : "would rewrite", done.shards_rewritten,
               given.taps.empty() ? "taps that go" : fmt::format("{}", fmt::join(given.taps, ", ")),
               given.yes ? "removed" : "remove", done.shards_removed, given.yes ? "freed" : "frees",
               static_cast<double>(done.bytes_freed) / 1e6);
  }
  if (!given.yes) fmt::print("nothing was changed; --yes does it\n");
  return kExitDone;
}

}  // namespace

void add_strip(CLI::App& app, Session& session) {
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "strip", "Takes taps or whole corpora out of a feature store; says what it would do unless --yes is given.");
  command->add_option("store", given->store, "store of a study")->required();
  command->add_option("--upstream", given->upstream, "folder of one upstream in it (default: all)");
  command->add_option("--drop-taps", given->taps, "taps to take away, comma-separated")->delimiter(',');
  command
      ->add_option("--drop-corpus", given->corpora,
                   "corpus to take away, with all of its features; several, comma-separated")
      ->delimiter(',');
  command->add_flag("--yes", given->yes, "do it");
  command->footer(
      "Killed, it is completed by the same command. Shards are rewritten one by one, so it needs room for one.\n"
      "Example:\n  strata strip features --upstream hubert --drop-taps conv,h0 --yes");
  command->callback([&session, given] { session.run = [given] { return strip_store(*given); }; });
}

}  // namespace strata

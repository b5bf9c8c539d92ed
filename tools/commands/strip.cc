#include "data/store/strip.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

struct Arguments {
  std::string store, upstream;
  std::vector<std::string> taps, corpora;
  std::int64_t limit_bytes = -1;
  bool yes = false;
};

std::string days_ago(fs::file_time_type time) {
  const auto age = fs::file_time_type::clock::now() - time;
  return fmt::format("{:.0f} days ago", std::chrono::duration<double, std::ratio<86400>>(age).count());
}

int limit_store(const Arguments& given) {
  if (!given.taps.empty() || !given.corpora.empty())
    throw ConfigError("strip: --limit says itself what goes; give it alone");
  const std::vector<fs::path> folders = upstreams_in(given.store, given.upstream);
  const std::unique_ptr<Owner> owner = given.yes ? std::make_unique<Owner>(given.store, "strata strip") : nullptr;
  std::int64_t freed = 0;
  for (const CorpusUse& use : least_recently_used(folders, given.limit_bytes)) {
    fmt::print("{}: {} {:.1f} MB, last used {}\n", (use.upstream / use.corpus).string(),
               given.yes ? "removed" : "would remove", static_cast<double>(use.bytes) / 1e6, days_ago(use.last_used));
    if (given.yes) strip(FeatureStore::open(use.upstream), {{}, {use.corpus}}, [&] { owner->require(); });
    freed += use.bytes;
  }
  if (freed == 0) fmt::print("{}: it is within the limit\n", given.store);
  if (!given.yes && freed != 0) fmt::print("nothing was changed; --yes does it\n");
  return kExitDone;
}

int strip_store(const Arguments& given) {
  if (given.limit_bytes >= 0) return limit_store(given);
  if (given.taps.empty() && given.corpora.empty())
    throw ConfigError("strip: nothing to take away; give --drop-taps, --drop-corpus or --limit");
  const std::vector<fs::path> folders = upstreams_in(given.store, given.upstream);
  if (folders.size() > 1 && !given.taps.empty())
    throw ConfigError(fmt::format("{}: it holds several upstreams; say whose taps go with --upstream", given.store));
  const StripRequest request{given.taps, given.corpora};
  const std::unique_ptr<Owner> owner = given.yes ? std::make_unique<Owner>(given.store, "strata strip") : nullptr;
  for (const fs::path& folder : folders) {
    const FeatureStore store = FeatureStore::open(folder);
    const StripForecast done =
        given.yes ? strip(store, request, [&] { owner->require(); }) : forecast_strip(store, request);
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
  CLI::App* command = app.add_subcommand("strip",
                                         "Takes taps or whole corpora out of a feature store, or makes it smaller; "
                                         "says what it would do unless --yes is given.");
  command->add_option("store", given->store, "store of a study")->required();
  command->add_option("--upstream", given->upstream, "folder of one upstream in it (default: all)");
  command->add_option("--drop-taps", given->taps, "taps to take away, comma-separated")->delimiter(',');
  command
      ->add_option("--drop-corpus", given->corpora,
                   "corpus to take away, with all of its features; several, comma-separated")
      ->delimiter(',');
  command
      ->add_option(
          "--limit", given->limit_bytes,
          "bytes that the store may take (as 500GB): corpora of upstreams go as wholes, those used longest ago "
          "first")
      ->transform(CLI::AsSizeValue(true));
  command->add_flag("--yes", given->yes, "do it");
  command->footer(
      "Killed, it is completed by the same command. Shards are rewritten one by one, so it needs room for one.\n"
      "Example:\n  strata strip features --upstream hubert --drop-taps conv,h0 --yes\n  strata strip features --limit "
      "500GB");
  command->callback([&session, given] { session.run = [given] { return strip_store(*given); }; });
}

}  // namespace strata

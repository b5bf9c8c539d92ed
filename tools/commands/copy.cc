#include "data/store/copy.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/strip.h"
#include "tools/commands/session.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

struct Arguments {
  std::string store, target, upstream;
  std::vector<std::string> corpora;
  bool move = false, yes = false, ignore_free_space = false;
};

/// The corpora that are asked for and that this upstream has.
std::vector<std::string> wanted_of(const FeatureStore& store, const Arguments& given) {
  std::vector<std::string> wanted;
  for (const std::string& corpus : given.corpora) {
    if (has_corpus(store, corpus)) wanted.push_back(corpus);
  }
  return wanted;
}

void check_room(const Arguments& given, const std::vector<fs::path>& folders) {
  std::int64_t bytes = 0;
  for (const fs::path& folder : folders) {
    const FeatureStore store = FeatureStore::open(folder);
    bytes += forecast_copy(store, fs::path(given.target) / folder.filename(), wanted_of(store, given)).bytes;
  }
  const auto free = static_cast<double>(free_bytes(given.target));
  if (static_cast<double>(bytes) <= free || given.ignore_free_space) return;
  throw DataError(
      fmt::format("{}: the copy takes {:.1f} MB, only {:.1f} MB are free there; make room, copy fewer "
                  "corpora, or give --ignore-free-space",
                  given.target, static_cast<double>(bytes) / 1e6, free / 1e6));
}

int copy_stores(const Arguments& given) {
  std::vector<fs::path> folders = upstreams_in(given.store, given.upstream);
  if (!given.corpora.empty()) {
    std::erase_if(folders, [&](const fs::path& f) { return wanted_of(FeatureStore::open(f), given).empty(); });
    if (folders.empty()) throw ConfigError(fmt::format("{}: no upstream in it has any of these corpora", given.store));
  }
  check_room(given, folders);
  std::unique_ptr<Owner> source, target;
  if (given.yes) target = std::make_unique<Owner>(given.target, "strata copy");
  if (given.yes && given.move) source = std::make_unique<Owner>(given.store, "strata copy --move");
  const BeforeChange still_ours = [&] {
    target->require();
    if (source) source->require();
  };
  for (const fs::path& folder : folders) {
    const FeatureStore store = FeatureStore::open(folder);
    const fs::path to = fs::path(given.target) / folder.filename();
    const std::vector<std::string> corpora = wanted_of(store, given);
    const CopyForecast done =
        given.yes ? copy_store(store, to, corpora, still_ours) : forecast_copy(store, to, corpora);
    fmt::print("{} to {}: {} {} shards, {:.1f} MB; {} are there already\n", folder.string(), to.string(),
               given.yes ? "copied" : "would copy", done.shards, static_cast<double>(done.bytes) / 1e6,
               done.shards_there);
    if (!given.move) continue;
    if (given.yes) remove_copied(store, corpora, still_ours);
    fmt::print("{}: {} what was copied\n", folder.string(), given.yes ? "removed" : "would remove");
  }
  if (!given.yes) fmt::print("nothing was changed; --yes does it\n");
  return kExitDone;
}

}  // namespace

void add_copy(CLI::App& app, Session& session) {
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "copy",
      "Copies a feature store, or moves it, and holds every frame against its checksum; says what it would do unless "
      "--yes is given.");
  command->add_option("store", given->store, "store of a study")->required();
  command->add_option("target", given->target, "store to copy into; it may hold other upstreams and corpora")
      ->required();
  command->add_option("--upstream", given->upstream, "folder of one upstream in it (default: all)");
  command->add_option("--corpus", given->corpora, "corpora that are copied, comma-separated (default: all)")
      ->delimiter(',');
  command->add_flag(
      "--move", given->move,
      "remove from the store what has been copied whole; what is in the target is read and held against its "
      "checksums first");
  command->add_flag("--ignore-free-space", given->ignore_free_space, "begin though the disk may not hold it");
  command->add_flag("--yes", given->yes, "do it");
  command->footer(
      "Killed, it is completed by the same command.\n"
      "Example:\n  strata copy features archive/features --upstream hubert --move --yes");
  command->callback([&session, given] { session.run = [given] { return copy_stores(*given); }; });
}

}  // namespace strata

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/config/json.h"
#include "data/store/apart.h"
#include "data/store/blosc.h"
#include "data/store/store.h"
#include "tools/commands/session.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

struct Findings {
  std::int64_t shards = 0, utterances = 0, bad = 0, missing = 0;
  std::int64_t unseen = 0;  // of the shards: it is not known whether they are bad
  std::int64_t unread = 0;  // folders whose store.json or plan cannot be read, or whose filter HDF5 lacks
};

/// Ids for a line of text, quoted as in JSON: those of a damaged file may hold anything.
std::string list_of(const std::vector<std::string>& ids) {
  constexpr std::size_t kMost = 20;
  std::string list;
  for (std::size_t i = 0; i < std::min(ids.size(), kMost); ++i) {
    if (i > 0) list += ", ";
    list += Json(ids[i]).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return ids.size() > kMost ? fmt::format("{} and {} more", list, ids.size() - kMost) : list;
}

/// Why a shard that can be opened is bad, or "" if it is whole.
std::string fault_of(const ShardReader& shard) {
  const auto damaged = shard.verify();
  if (damaged.empty()) return "";
  return fmt::format("{}: {} utterances differ from their checksums: {}", shard.path().string(), damaged.size(),
                     list_of(damaged));
}

/// Why a shard is bad, or "" if it is whole. Throws FileError if it cannot be looked into.
std::string examine(const fs::path& path, const FeatureStore& store, const ShardPlan& plan, Findings& findings) {
  try {
    const std::string answer = apart(path, [&] {
      const ShardReader shard = store.open_shard(path.parent_path().filename(), plan);
      return fmt::format("{} {}", shard.ids().size(), fault_of(shard));
    });
    const std::size_t space = answer.find(' ');
    findings.utterances += std::strtoll(answer.c_str(), nullptr, 10);
    return answer.substr(space + 1);
  } catch (const FileError&) {
    throw;
  } catch (const Error& e) {
    return e.what();
  }
}

void remove_shard(const fs::path& path) {
  fs::remove(path);
  fs::remove(sidecar_path(path));
  fmt::print("{}: removed\n", path.string());
}

///   owner  who may remove what is bad; none: nobody
void verify_corpus(const FeatureStore& store, const fs::path& folder, const Owner* owner, Findings& findings) {
  const CorpusPlan plan = CorpusPlan::load(folder);
  for (const ShardPlan& shard : plan.shards()) {
    const fs::path path = folder / shard.name;
    if (!fs::exists(path)) {
      findings.missing += 1;
      fmt::print("{}: not there\n", path.string());
      continue;
    }
    if (shard.compression == hdf5::Compression::kBlosc) require_blosc(path.string());  // else it would pass for damaged
    findings.shards += 1;
    try {
      const std::string reason = examine(path, store, shard, findings);
      if (reason.empty()) continue;
      findings.bad += 1;
      fmt::print("{}\n", reason);
      if (owner == nullptr) continue;
      owner->require();
      remove_shard(path);
    } catch (const FileError& e) {
      findings.unseen += 1;
      fmt::print("{}; not looked into\n", e.what());
    }
  }
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// Throws DataError if several shards, and all that say anything, say that they belong to another upstream than
/// store.json does: then store.json is more likely to be wrong than all of them.
void check_fingerprint(const FeatureStore& store) {
  const std::string& expected = store.description().fingerprint;
  std::vector<std::string> others;
  for (const fs::path& corpus : folders_in(store.folder())) {
    for (const auto& entry : fs::directory_iterator(corpus)) {
      const auto origin = entry.path().extension() == ".h5" ? origin_in_sidecar(entry.path()) : std::nullopt;
      if (origin && origin->fingerprint == expected) return;
      if (origin) others.push_back(origin->fingerprint);
    }
  }
  if (others.size() < 2) return;
  throw DataError(
      fmt::format("{}: it has fingerprint {}, and none of {} shards has that (one has {}): it is more likely to "
                  "be wrong than all of them, so that nothing is removed; put back the store.json that they "
                  "were made with, or remove the folder",
                  (store.folder() / "store.json").string(), printable(expected.substr(0, 12)), others.size(),
                  printable(others.back().substr(0, 12))));
}

/// A folder that cannot be looked into is told, and the others are looked into all the same.
void tell_if_unread(Findings& findings, const std::function<void()>& look) {
  try {
    look();
  } catch (const std::exception& e) {  // of std::filesystem, too
    findings.unread += 1;
    fmt::print("{}\n", e.what());
  }
}

void verify_upstream(const fs::path& folder, const Owner* owner, Findings& findings) {
  tell_if_unread(findings, [&] {
    const FeatureStore store = FeatureStore::open(folder);
    if (owner != nullptr) check_fingerprint(store);
    for (const fs::path& corpus : folders_in(folder)) {
      tell_if_unread(findings, [&] { verify_corpus(store, corpus, owner, findings); });
    }
  });
}

/// The folders of upstreams at or below `store`.
std::vector<fs::path> upstreams_in(const fs::path& store) {
  if (!fs::is_directory(store)) throw ConfigError(fmt::format("{}: there is no such folder", store.string()));
  std::vector<fs::path> upstreams = folders_in(store);
  std::erase_if(upstreams, [](const fs::path& folder) { return !fs::exists(folder / "store.json"); });
  if (fs::exists(store / "store.json")) upstreams.insert(upstreams.begin(), store);
  if (upstreams.empty()) {
    throw ConfigError(
        fmt::format("{}: there is no feature store here (no store.json in it or below it)", store.string()));
  }
  return upstreams;
}

int verify(const fs::path& store, bool repair) {
  const std::vector<fs::path> upstreams = upstreams_in(store);
  const fs::path owned = fs::exists(store / "store.json") ? store.parent_path() : store;
  const auto owner = repair ? std::make_unique<Owner>(owned, "strata verify --repair") : nullptr;
  Findings findings;
  for (const fs::path& upstream : upstreams) verify_upstream(upstream, owner.get(), findings);
  fmt::print("{}: {} shards, {} utterances, {} bad, {} not there{}{}\n", store.string(), findings.shards,
             findings.utterances, findings.bad, findings.missing,
             findings.unseen > 0 ? fmt::format(", {} not looked into", findings.unseen) : "",
             findings.unread > 0 ? fmt::format(", {} folders not looked into", findings.unread) : "");
  if (findings.unseen > 0) {
    throw DataError(
        fmt::format("{}: {} shards could not be looked into, for the reasons above, and are kept; of the "
                    "others {} are bad and {} are not there",
                    store.string(), findings.unseen, findings.bad, findings.missing));
  }
  if (findings.unread > 0) {
    throw DataError(
        fmt::format("{}: {} folders could not be looked into, for the reasons above (a folder without a whole "
                    "store.json or plan may be removed: `strata extract` makes it anew); of the other shards {} are "
                    "bad and {} are not there",
                    store.string(), findings.unread, findings.bad, findings.missing));
  }
  if (findings.bad + findings.missing == 0) return kExitDone;
  if (repair) {
    log_info("`strata extract` fills the holes");
    return kExitDone;
  }
  throw DataError(
      fmt::format("{}: {} shards are bad and {} are not there; `strata verify --repair` removes bad ones, "
                  "`strata extract` then fills the holes",
                  store.string(), findings.bad, findings.missing));
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  const auto store = std::make_shared<std::string>();
  const auto repair = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("verify", "Reads a whole feature store and holds it against its checksums.");
  command->add_option("store", *store, "store of a study, or the folder of one upstream in it")->required();
  command->add_flag("--repair", *repair,
                    "remove bad shards, so that extract fills the holes; those that cannot be looked into are kept");
  command->footer("Example:\n  strata verify features");
  command->callback([&session, store, repair] { session.run = [store, repair] { return verify(*store, *repair); }; });
}

}  // namespace strata

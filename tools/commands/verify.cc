#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/store/apart.h"
#include "data/store/blosc.h"
#include "data/store/store.h"
#include "tools/commands/session.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

struct Findings {
  std::int64_t shards = 0, utterances = 0, bad = 0, missing = 0;
};

/// True if a shard holds, or could not decode, exactly what was planned for it.
bool is_as_planned(const ShardReader& shard, const ShardPlan& plan) {
  std::vector<std::string> held = shard.ids(), planned = plan.ids;
  for (const FailedUtterance& f : shard.failed()) held.push_back(f.id);
  std::sort(held.begin(), held.end());
  std::sort(planned.begin(), planned.end());
  return held == planned;
}

/// Why a shard that can be opened is bad, or "" if it is whole.
std::string fault_of(const ShardReader& shard, const ShardPlan& plan) {
  const auto damaged = shard.verify();
  if (!damaged.empty()) return fmt::format("{}: {} utterances differ from their checksums, the first \"{}\"", shard.path().string(), damaged.size(), damaged.front());
  if (!is_as_planned(shard, plan)) return fmt::format("{}: it holds {} utterances, which are not the {} that the plan has", shard.path().string(), shard.ids().size(), plan.ids.size());
  return "";
}

/// Why a shard is bad, or "" if it is whole.
std::string examine(const fs::path& path, const FeatureStore& store, const ShardPlan& plan, Findings& findings) {
  try {
    const std::string answer = apart(path, [&] {
      const ShardReader shard(path, store.taps_of(plan), store.description().type);
      return fmt::format("{} {}", shard.ids().size(), fault_of(shard, plan));
    });
    const std::size_t space = answer.find(' ');
    findings.utterances += std::strtoll(answer.c_str(), nullptr, 10);
    return answer.substr(space + 1);
  } catch (const Error& e) {
    return e.what();
  }
}

void verify_upstream(const fs::path& folder, bool repair, Findings& findings) {
  const FeatureStore store = FeatureStore::open(folder);
  for (const auto& corpus : fs::directory_iterator(folder)) {
    if (!corpus.is_directory()) continue;
    const CorpusPlan plan = CorpusPlan::load(corpus.path());
    for (const ShardPlan& shard : plan.shards()) {
      const fs::path path = corpus.path() / shard.name;
      if (!fs::exists(path)) {
        findings.missing += 1;
        fmt::print("{}: not there\n", path.string());
        continue;
      }
      if (shard.compression == hdf5::Compression::kBlosc) require_blosc(path.string());  // or it would pass for damaged
      findings.shards += 1;
      const std::string reason = examine(path, store, shard, findings);
      if (reason.empty()) continue;
      findings.bad += 1;
      fmt::print("{}\n", reason);
      if (repair) {
        fs::remove(path);
        fs::remove(sidecar_path(path));
        fmt::print("{}: removed\n", path.string());
      }
    }
  }
}

int verify(const fs::path& store, bool repair) {
  if (!fs::is_directory(store)) throw ConfigError(fmt::format("{}: there is no such folder", store.string()));
  const std::unique_ptr<Owner> owner = repair ? std::make_unique<Owner>(fs::exists(store / "store.json") ? store.parent_path() : store, "strata verify --repair") : nullptr;
  Findings findings;
  bool any = false;
  if (fs::exists(store / "store.json")) {
    verify_upstream(store, repair, findings);
    any = true;
  }
  for (const auto& entry : fs::directory_iterator(store)) {
    if (!fs::exists(entry.path() / "store.json")) continue;
    verify_upstream(entry.path(), repair, findings);
    any = true;
  }
  if (!any) throw ConfigError(fmt::format("{}: there is no feature store here (no store.json in it or below it)", store.string()));
  fmt::print("{}: {} shards, {} utterances, {} bad, {} not there\n", store.string(), findings.shards, findings.utterances, findings.bad, findings.missing);
  if (findings.bad + findings.missing == 0) return kExitDone;
  if (repair) {
    log_info("`strata extract` fills the holes");
    return kExitDone;
  }
  throw DataError(fmt::format("{}: {} shards are bad and {} are not there; `strata verify --repair` removes bad ones, `strata extract` then fills the holes", store.string(),
                              findings.bad, findings.missing));
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  const auto store = std::make_shared<std::string>();
  const auto repair = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("verify", "Reads a whole feature store and holds it against its checksums.");
  command->add_option("store", *store, "store of a study, or the folder of one upstream in it")->required();
  command->add_flag("--repair", *repair, "remove bad shards, so that extract fills the holes");
  command->footer("Example:\n  strata verify features");
  command->callback([&session, store, repair] { session.run = [store, repair] { return verify(*store, *repair); }; });
}

}  // namespace strata

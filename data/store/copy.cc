#include "data/store/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/file_group.h"
#include "data/store/strip.h"
#include "data/store/verified.h"

namespace strata {
namespace {

/// What is to be written for one corpus, or for the folder above the corpora.
struct Work {
  std::vector<fs::path> tables;  // relative to the folders of both stores
  std::vector<fs::path> shards;  // likewise
  std::vector<ShardPlan> plans;  // of the shards
};

std::vector<std::string> names_of_files(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

bool is_table(const std::string& name) {
  // The others tell of this folder only: who works in it, which of its files were verified when.
  return name.ends_with(".json") && name != "owner.json" && name != "verified.json";
}

Work work_on(const FeatureStore& from, const std::string& corpus) {
  const fs::path folder = from.corpus_folder(corpus);
  if (is_replacing(folder))
    throw ConfigError(
        fmt::format("{}: `strata strip` is at work there, or was interrupted; run it again first", folder.string()));
  const CorpusPlan plan = CorpusPlan::load(folder);
  Work work;
  std::set<std::string> of_shards;
  for (const ShardPlan& shard : plan.shards()) {
    of_shards.insert(sidecar_path(shard.name));
    if (!fs::exists(folder / shard.name) || !fs::exists(sidecar_path(folder / shard.name))) continue;
    work.shards.push_back(fs::path(corpus) / shard.name);
    work.plans.push_back(shard);
  }
  for (const std::string& name : names_of_files(folder)) {
    if (is_table(name) && !of_shards.contains(name)) work.tables.push_back(fs::path(corpus) / name);
  }
  return work;
}

/// All that is to be copied: what lies above the corpora, then each corpus.
std::vector<Work> all_work(const FeatureStore& from, const std::vector<std::string>& corpora) {
  for (const std::string& corpus : corpora) {
    if (!has_corpus(from, corpus))
      throw ConfigError(fmt::format("{}: the store has no corpus \"{}\"", from.folder().string(), corpus));
  }
  std::vector<Work> all(1);
  all[0].tables = {"store.json"};
  for (const std::string& name : names_of_files(from.folder())) {
    if (is_table(name) && name != "store.json") all[0].tables.emplace_back(name);
  }
  for (const fs::path& corpus : corpora_of(from)) {
    const std::string name = corpus.filename();
    if (corpora.empty() || std::ranges::count(corpora, name) > 0) all.push_back(work_on(from, name));
  }
  return all;
}

void check_same(const fs::path& from, const fs::path& to) {
  if (fs::exists(to) && read_file(to) != read_file(from)) {
    throw ConfigError(fmt::format("{}: it is another than {}; copy into another folder", to.string(), from.string()));
  }
}

/// True if a copy looks as if it was there; its frames are not read.
bool is_there(const fs::path& from, const fs::path& to) {
  return fs::exists(to) && fs::exists(sidecar_path(to)) && fs::file_size(to) == fs::file_size(from) &&
         read_file(sidecar_path(to)) == read_file(sidecar_path(from));
}

ShardReader open(const FeatureStore& store, const fs::path& path, const ShardPlan& plan) {
  return ShardReader(path, store.taps_of(plan), store.description().type,
                     store.origin_of(path.parent_path().filename(), plan.name));
}

/// True if the copy is there and has its checksums.
bool is_whole(const FeatureStore& store, const ShardPlan& plan, const fs::path& to) {
  try {
    return open(store, to, plan).verify().empty();
  } catch (const FileError&) {
    throw;  // what cannot be read is not known to be bad
  } catch (const DataError&) {
    return false;
  }
}

/// What is verified is what is written: one mapping. Then what was written is held against its checksums, too.
void copy_shard(const FeatureStore& store, const ShardPlan& plan, const fs::path& from, const fs::path& to,
                const BeforeChange& before_change) {
  const ShardReader shard = store.open_shard(from.parent_path().filename(), plan);
  require_whole(shard);
  const std::string sidecar = read_file(sidecar_path(from));
  before_change();
  write_files_atomically({{sidecar_path(to), {sidecar}}, {to, {shard.bytes()}}});
  require_whole(open(store, to, plan));
}

void check_target(const FeatureStore& from, const fs::path& to, const std::vector<Work>& all) {
  if (fs::exists(to) && fs::equivalent(from.folder(), to))
    throw ConfigError(fmt::format("{}: a store cannot be copied onto itself", to.string()));
  for (const Work& work : all) {
    for (const fs::path& table : work.tables) check_same(from.folder() / table, to / table);
  }
}

///   before_change  of `to`; null: only looks
CopyForecast run(const FeatureStore& from, const fs::path& to, const std::vector<std::string>& corpora,
                 const BeforeChange* before_change) {
  const std::vector<Work> all = all_work(from, corpora);
  check_target(from, to, all);
  CopyForecast done;
  for (const Work& work : all) {
    for (const fs::path& table : work.tables) {
      if (before_change == nullptr) continue;
      (*before_change)();
      write_file_atomically(to / table, read_file(from.folder() / table));
    }
    for (std::size_t s = 0; s < work.shards.size(); ++s) {
      const fs::path source = from.folder() / work.shards[s], target = to / work.shards[s];
      if (is_there(source, target) && (before_change == nullptr || is_whole(from, work.plans[s], target))) {
        done.shards_there += 1;
        continue;
      }
      if (before_change != nullptr) copy_shard(from, work.plans[s], source, target, *before_change);
      done.shards += 1;
      done.bytes += static_cast<std::int64_t>(fs::file_size(source) + fs::file_size(sidecar_path(source)));
    }
  }
  return done;
}

}  // namespace

CopyForecast forecast_copy(const FeatureStore& from, const fs::path& to, const std::vector<std::string>& corpora) {
  return run(from, to, corpora, nullptr);
}

CopyForecast copy_store(const FeatureStore& from, const fs::path& to, const std::vector<std::string>& corpora,
                        const BeforeChange& before_change) {
  return run(from, to, corpora, &before_change);
}

void remove_copied(const FeatureStore& from, const std::vector<std::string>& corpora,
                   const BeforeChange& before_change) {
  StripRequest going{{}, corpora};
  if (!corpora.empty()) {
    strip(from, going, before_change);
    return;
  }
  for (const fs::path& corpus : corpora_of(from)) going.corpora.push_back(corpus.filename());
  strip(from, going, before_change);
  before_change();
  const fs::path last = from.folder() / "store.json";
  for (const std::string& name : names_of_files(from.folder())) {
    if (name != last.filename()) fs::remove(from.folder() / name);
  }
  fs::remove(last);
  fs::remove(from.folder());
}

}  // namespace strata

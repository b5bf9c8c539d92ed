#include "tools/benchmarks/many_utterances.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <fmt/format.h>
#include <jemalloc/jemalloc.h>

#include <fstream>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "data/batches/batch_order.h"
#include "data/store/apart.h"
#include "data/store/corpus_features.h"
#include "tools/benchmarks/measure.h"
#include "tools/benchmarks/new_store.h"

namespace strata {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

void write_many(const FeatureStore& store, std::int64_t utterances) {
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("many"));
  std::vector<PlannedUtterance> planned;
  for (std::int64_t u = 0; u < utterances; ++u)
    planned.push_back({fmt::format("speaker{:04}-chapter-{:08}", u / 1000, u), 320});
  plan.extend(planned, store.description(), Json::array(), kNoiseShardBytes);
  plan.save();
  const at::Tensor frame = at::ones({1, 4}, at::kHalf);
  for (const ShardPlan& shard : plan.shards()) {
    std::vector<ShardUtterance> of_shard;
    for (const std::string& id : shard.ids)
      of_shard.push_back({id, 320, std::vector<at::Tensor>(store.description().spec.taps.size(), frame)});
    write_shard(plan.folder() / shard.name, store.description().spec.taps, kNoiseType, of_shard, {},
                hdf5::Compression::kNone, store.origin_of("many", shard.name));
  }
}

/// A field of /proc/self/status, in MB: VmHWM is the peak, with pages of files; RssAnon is the process' own.
double status_mb(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string name; file >> name;) {
    double kilobytes = 0;
    if (name == field + ":" && file >> kilobytes) return kilobytes / 1e3;
  }
  return 0;
}

/// The process' own memory, without what is free and only kept by the allocator.
double held_mb() {
  ::mallctl(fmt::format("arena.{}.purge", MALLCTL_ARENAS_ALL).c_str(), nullptr, nullptr, nullptr, 0);
  return status_mb("RssAnon");
}

/// Opens the store and plans an epoch, the memory of the process being then that alone.
Json open_many(const fs::path& folder, std::int64_t utterances) {
  return Json::parse(apart(folder, [&] {
    const double before = held_mb();
    auto start = Clock::now();
    const CorpusFeatures features(FeatureStore::open(folder), "many");
    const double opened = seconds_since(start);
    start = Clock::now();
    BatchOrder order(utterances, 32, 1, "bench");
    const auto first = order.batch(0);
    const double planned = seconds_since(start);
    return Json{{"open_s", opened},
                {"plan_s", planned},
                {"shards", features.shards().size()},
                {"found", features.size()},
                {"batch", first.size()},
                {"memory_mb", held_mb() - before},
                {"peak_mb", status_mb("VmHWM")}}
        .dump();
  }));
}

}  // namespace

Json open_many_utterances(const fs::path& folder, std::int64_t utterances, std::int64_t taps, int rounds) {
  if (!fs::exists(folder / "complete")) {
    apart(folder, [&] {
      write_many(make_store(folder, taps_of(taps, 4)), utterances);
      write_file_atomically(folder / "complete", "");
      return std::string("written");
    });
  }
  Json best;
  for (int round = 0; round < rounds; ++round) {
    const Json one = open_many(folder, utterances);
    if (best.is_null() || one.at("open_s").get<double>() < best.at("open_s").get<double>()) best = one;
  }
  fmt::print(
      "{} utterances in {} shards, {} taps: opened in {:.2f} s, an epoch planned in {:.3f} s; it takes {:.0f} MB of "
      "memory "
      "of its own, {:.0f} bytes an utterance; with all of the program and pages of files the peak is {:.0f} MB\n",
      utterances, best["shards"].get<int>(), taps, best["open_s"].get<double>(), best["plan_s"].get<double>(),
      best["memory_mb"].get<double>(), 1e6 * best["memory_mb"].get<double>() / static_cast<double>(utterances),
      best["peak_mb"].get<double>());
  return best;
}

}  // namespace strata

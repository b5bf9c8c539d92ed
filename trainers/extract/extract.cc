#include "trainers/extract/extract.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/tensor/feature_spec.h"
#include "data/manifest/manifest.h"
#include "distributed/device.h"
#include "distributed/work_server.h"
#include "trainers/extract/stored_features.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

struct UnitResult {
  std::int64_t utterances = 0;
  std::int64_t failed = 0;
  double audio_seconds = 0;
};

/// A shard in memory.
struct UnitFeatures {
  std::vector<ShardUtterance> utterances;
  std::vector<FailedUtterance> failed;
  UnitResult result;
};

///   taps  of the upstream
std::vector<at::Tensor> compute(const Job& job, const std::vector<std::size_t>& taps, std::vector<float>& audio) {
  const at::Tensor wave = at::from_blob(audio.data(), {static_cast<std::int64_t>(audio.size())}, at::kFloat);
  const hdf5::StoredType type = job.store->description().type;
  std::vector<at::Tensor> features = features_to_store(*job.upstream, wave, taps, type);
  for (at::Tensor& tap : features) tap = tap.to(scalar_type(type)).to(at::kCPU).contiguous();
  return features;
}

/// While an utterance is computed, the next one is decoded.
UnitFeatures compute_unit(const Job& job, const ShardPlan& shard) {
  UnitFeatures unit;
  const std::vector<std::size_t> taps = indices_of(job.store->taps_of(shard), *job.upstream);
  const auto find = [&](std::size_t i) -> const Utterance* {
    const auto index = job.corpus->find(shard.ids[i]);
    return index ? &job.corpus->utterances()[*index] : nullptr;
  };
  std::future<std::vector<float>> decoded;
  const auto decode = [&](std::size_t i) {
    const Utterance* utterance = i < shard.ids.size() ? find(i) : nullptr;
    if (utterance)
      decoded = std::async(std::launch::async, [&job, utterance] { return treated_audio(job, *utterance); });
  };
  decode(0);
  for (std::size_t i = 0; i < shard.ids.size(); ++i) {
    const Utterance* utterance = find(i);
    std::future<std::vector<float>> own = std::move(decoded);
    decode(i + 1);
    if (!utterance) {
      unit.failed.push_back({shard.ids[i], "it is no longer in the manifest"});
      continue;
    }
    try {
      std::vector<float> audio = own.get();
      unit.utterances.push_back({shard.ids[i], static_cast<std::int64_t>(audio.size()), compute(job, taps, audio)});
      unit.result.audio_seconds += static_cast<double>(audio.size()) / kSampleRateHz;
    } catch (const DataError& e) {
      log_warning("{}: utterance \"{}\" is left out: {}", utterance->place, shard.ids[i], e.what());
      unit.failed.push_back({shard.ids[i], e.what()});
    }
  }
  unit.result.utterances = static_cast<std::int64_t>(unit.utterances.size());
  unit.result.failed = static_cast<std::int64_t>(unit.failed.size());
  return unit;
}

/// Hands out units on rank 0 and collects what came of them.
class Foreman {
 public:
  ///   owner  of the store; on rank 0
  Foreman(std::size_t units, std::int64_t utterances, const Owner* owner, bool show_progress)
      : units_(units), owner_(owner), progress_("extract", utterances, "utterances", show_progress) {
    progress_.update(0);
  }

  Json answer(const Json& question) {
    if (question.contains("write")) return {{"refused", reason_not_to_write()}};
    if (question.contains("done")) {
      summary.shards_written += 1;
      summary.utterances += question["done"]["utterances"].get<std::int64_t>();
      summary.audio_seconds += question["done"]["audio_seconds"].get<double>();
      seen_ += question["done"]["utterances"].get<std::int64_t>() + question["done"]["failed"].get<std::int64_t>();
      progress_.update(seen_);
    }
    if (question.value("stop", false)) stopping_ = true;
    if (stopping_ || next_ == units_) return {{"unit", -1}};
    return {{"unit", next_++}};
  }

  bool stopping() const { return stopping_; }
  ExtractSummary summary;

 private:
  std::string reason_not_to_write() const {
    try {
      owner_->require();
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  }

  std::size_t units_;
  const Owner* owner_;
  std::size_t next_ = 0;
  std::int64_t seen_ = 0;
  bool stopping_ = false;
  Progress progress_;
};

/// One worker thread: asks, computes, reports, until there is no more. While a shard is written, the next one is
/// computed. On a GPU the threads of a rank work side by side, each in a stream of its own: so one utterance's copies,
/// launches and decoding are behind the others' products, and there is no need for batches.
void work(const Workshop& shop, WorkServer& server, std::atomic<bool>& failed) {
  at::set_num_threads(1);
  std::optional<c10::StreamGuard> stream;
  if (!shop.device.is_cpu()) {
    stream.emplace(c10::impl::VirtualGuardImpl(shop.device.type()).getStreamFromGlobalPool(shop.device));
  }
  const at::NoGradGuard no_grad;
  std::future<UnitResult> writing;
  const auto written = [&] {  // what to report
    if (!writing.valid()) return Json::object();
    const UnitResult done = writing.get();
    return Json{
        {"done", {{"utterances", done.utterances}, {"failed", done.failed}, {"audio_seconds", done.audio_seconds}}}};
  };
  Json question = Json::object();
  for (;;) {
    if (stop_requested() != 0) question["stop"] = true;
    const std::int64_t unit = server.ask(question)["unit"];
    if (unit < 0 || failed) break;
    const Unit& u = shop.units[static_cast<std::size_t>(unit)];
    const Job& job = shop.jobs[u.job];
    const ShardPlan& shard = job.missing[u.shard];
    UnitFeatures features = compute_unit(job, shard);
    question = written();
    const std::string refused = server.ask({{"write", true}})["refused"];
    if (!refused.empty()) throw DataError(refused);
    writing = std::async(std::launch::async, [&job, &shard, features = std::move(features)] {
      write_shard(job.plan.folder() / shard.name, job.store->taps_of(shard), job.store->description().type,
                  features.utterances, features.failed, shard.compression,
                  job.store->origin_of(job.plan.folder().filename(), shard.name));
      return features.result;
    });
  }
  question = written();
  if (!question.empty()) server.ask(question);
}

void work_in_threads(const Workshop& shop, WorkServer& server, int threads) {
  std::mutex mutex;
  std::exception_ptr first;
  std::atomic<bool> failed = false;
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      try {
        work(shop, server, failed);
      } catch (...) {
        failed = true;
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
      }
    });
  }
  for (std::thread& thread : pool) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace

ExtractSummary extract(const Study& study, const Communicator& ranks, const ExtractOptions& options) {
  const bool first = ranks.rank() == 0;
  Workshop shop;
  std::unique_ptr<Owner> owner;
  together(ranks, [&] {
    shop.device = choose_device(study.device, ranks);
    open_all(study, options, shop);
  });
  together(ranks, [&] {
    if (first) owner = std::make_unique<Owner>(study.store, "strata extract");
  });
  together(ranks, [&] {
    if (!first) return;
    plan_jobs(study, options, true, shop);
    check_room(study, options, shop);
    save_plans(study, shop);
  });
  together(ranks, [&] {
    if (!first) plan_jobs(study, options, false, shop);
  });
  const Json missing = Json::parse(ranks.broadcast(first ? names_of_missing(shop).dump() : "", 0));
  together(ranks, [&] { list_units(missing, shop); });

  std::int64_t utterances = 0, there = 0;
  for (const Job& job : shop.jobs) {
    there += static_cast<std::int64_t>(job.plan.shards().size() - job.missing.size());
    for (const ShardPlan& shard : job.missing) utterances += static_cast<std::int64_t>(shard.ids.size());
  }
  const auto start = Clock::now();
  ExtractSummary summary;
  {
    Foreman foreman(shop.units.size(), utterances, owner.get(), first && options.show_progress && !shop.units.empty());
    {
      WorkServer server(ranks, [&](const Json& question, int) { return foreman.answer(question); });
      work_in_threads(shop, server, options.threads > 0 ? options.threads : share_of_cores(ranks.local_size()));
    }
    summary = foreman.summary;
    summary.stopped = foreman.stopping();
  }
  summary.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  summary.shards_there = there;
  if (first) summary.failed = count_failed(shop);
  const Json shared =
      Json::parse(ranks.broadcast(Json{{"failed", summary.failed}, {"stopped", summary.stopped}}.dump(), 0));
  summary.failed = shared["failed"];
  summary.stopped = shared["stopped"];
  return summary;
}

}  // namespace strata

#include "trainers/extract/extract.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "core/base/cores.h"
#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "data/audio/audio.h"
#include "data/audio/effects/effect.h"
#include "data/manifest/manifest.h"
#include "data/store/blosc.h"
#include "data/store/strip.h"
#include "distributed/device.h"
#include "distributed/work_server.h"
#include "trainers/extract/changes.h"
#include "trainers/extract/long_utterances.h"
#include "trainers/extract/stored_features.h"
#include "trainers/state/owner.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

/// One upstream over one corpus.
struct Job {
  std::string title;               // "hubert/debian"
  const Upstream* upstream = nullptr;
  const FeatureStore* store = nullptr;
  const Corpus* corpus = nullptr;
  Effects effects;
  CorpusPlan plan;
  std::vector<PlannedUtterance> utterances;  // of the corpus; on rank 0
  std::vector<ShardPlan> missing;            // when rank 0 looked
};

struct Unit {
  std::size_t job = 0;
  std::size_t shard = 0;  // index into Job::missing
};

/// Everything the study needs, opened and checked on this rank.
struct Workshop {
  c10::Device device = c10::kCPU;
  std::map<std::string, std::unique_ptr<Upstream>> upstreams;
  std::map<std::string, StoreDescription> descriptions;  // as the study wants them
  std::map<std::string, FeatureStore> stores;
  std::map<std::string, Corpus> corpora;
  std::vector<Job> jobs;
  std::vector<Unit> units;
};

double duration_of(const Utterance& utterance) {
  return utterance.duration ? *utterance.duration : audio_info(utterance.audio).duration_seconds() - utterance.offset;
}

/// Where an upstream has these taps.
std::vector<std::size_t> indices_of(const std::vector<Tap>& taps, const Upstream& upstream) {
  std::vector<std::size_t> indices;
  const auto& all = upstream.spec().taps;
  for (const Tap& tap : taps) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Tap& t) { return t.name == tap.name; });
    if (found == all.end())
      throw InternalError(fmt::format("the store has the tap {}, the upstream has not", tap.name));
    indices.push_back(static_cast<std::size_t>(found - all.begin()));
  }
  return indices;
}

std::string resolved_effects_place(const std::string& corpus) { return "/corpora/" + corpus + "/effects"; }

/// Opens models and corpora. Nothing is written.
void open_all(const Study& study, const ExtractOptions& options, Workshop& shop) {
  for (const auto& [name, entry] : study.corpora) shop.corpora.emplace(name, Corpus::read(entry.manifests));
  ModelSearch search = options.search;
  search.device = shop.device;
  for (const auto& [name, entry] : study.upstreams) {
    shop.upstreams[name] = open_study_upstream(study, name, search);
    shop.descriptions[name] = describe_store(name, entry, *shop.upstreams[name], study.file.string());
    if (shop.descriptions[name].compression == hdf5::Compression::kBlosc)
      require_blosc(fmt::format("{} /upstreams/{}/compression", study.file.string(), name));
    shop.descriptions[name].provenance = options.provenance;
    shop.descriptions[name].provenance["model"] = entry.model;
    shop.descriptions[name].provenance["compute"] = shop.upstreams[name]->compute();
    shop.descriptions[name].provenance["device"] = shop.upstreams[name]->device().is_cpu() ? "cpu" : "gpu";
  }
}

std::vector<PlannedUtterance> planned_utterances(const Corpus& corpus) {
  std::vector<PlannedUtterance> planned;
  for (const Utterance& u : corpus.utterances()) {
    double seconds = 0;
    try {
      seconds = duration_of(u);
    } catch (const DataError&) {
      // Not even its header can be read: it is planned all the same, and recorded as failed when its turn comes.
    }
    planned.push_back({u.id, std::llround(std::max(seconds, 0.0) * kSampleRateHz)});
  }
  return planned;
}

std::vector<float> treated_audio(const Job& job, const Utterance& utterance) {
  return apply_effects(job.effects, read_audio(utterance.audio, {utterance.offset, utterance.duration}));
}

/// Bytes of the frames in the shards that are to be written, before compression.
double bytes_to_write(const Job& job) {
  double bytes = 0;
  for (const ShardPlan& shard : job.missing) {
    const double per_sample = bytes_per_sample(job.store->taps_of(shard), job.store->description().type);
    for (const std::string& id : shard.ids) {
      const auto index = job.corpus->find(id);
      if (index) bytes += per_sample * static_cast<double>(job.utterances[*index].samples);
    }
  }
  return bytes;
}

/// What the sidecars of the shards that are there say.
FailedIds failed_ids(const CorpusPlan& plan) {
  FailedIds failed;
  for (const ShardPlan& shard : plan.shards()) {
    const fs::path path = plan.folder() / shard.name, sidecar = sidecar_path(path);
    if (!fs::exists(path) || !fs::exists(sidecar)) continue;
    try {
      const Json record = Json::parse(read_file(sidecar));
      std::set<std::string>& ids = failed[shard.name];
      for (const Json& f : record.at("failed")) ids.insert(f.at("id").get<std::string>());
    } catch (const Json::exception& e) {
      throw DataError(
          fmt::format("{}: not a valid sidecar of a shard: {}; `strata verify --repair` removes it, `strata extract` "
                      "fills the hole",
                      sidecar.string(), e.what()));
    }
  }
  return failed;
}

/// Rank 0 plans what is missing, in memory only; the others read what it has saved.
void plan_jobs(const Study& study, const ExtractOptions& options, bool writer, Workshop& shop) {
  for (const auto& [name, description] : shop.descriptions) {
    const FeatureStore& store = shop.stores
                                    .emplace(name, writer ? FeatureStore::planned(study.store / name, description)
                                                          : FeatureStore::open(study.store / name))
                                    .first->second;
    for (const auto& [corpus_name, entry] : study.corpora) {
      Job job;
      job.title = name + "/" + corpus_name;
      job.upstream = shop.upstreams.at(name).get();
      job.store = &store;
      job.corpus = &shop.corpora.at(corpus_name);
      job.effects = make_effects(entry.effects, study.file.string(), resolved_effects_place(corpus_name));
      if (writer) finish_replacement(store.corpus_folder(corpus_name));
      job.plan = CorpusPlan::load(store.corpus_folder(corpus_name));
      if (writer) {
        const Json treatment = resolve_effects(entry.effects, study.file.string(), resolved_effects_place(corpus_name));
        job.utterances = planned_utterances(*job.corpus);
        const FailedIds again = options.retry_failed ? failed_ids(job.plan) : FailedIds();
        job.plan.extend(job.utterances, store.description(), treatment, options.shard_bytes, again);
        job.missing = job.plan.missing();
      }
      shop.jobs.push_back(std::move(job));
    }
  }
}

/// Says what the plans come to. Throws DataError if the disk cannot hold it; nothing of them is saved yet, so that
/// other taps or another dtype may be asked for.
void check_room(const Study& study, const ExtractOptions& options, const Workshop& shop) {
  double bytes = 0;
  std::size_t shards = 0;
  for (const Job& job : shop.jobs) {
    bytes += bytes_to_write(job);
    shards += job.missing.size();
  }
  const double free = static_cast<double>(free_bytes(study.store));
  log_info("extract: {} shards to write, about {:.1f} MB; {:.1f} MB are free", shards, bytes / 1e6, free / 1e6);
  if (bytes > free && !options.ignore_free_space) {
    throw DataError(fmt::format("{}: the features take about {:.1f} MB, only {:.1f} MB are free there; make room, store fewer taps or a smaller dtype, or give --ignore-free-space",
                                study.store.string(), bytes / 1e6, free / 1e6));
  }
}

void save_plans(const Study& study, Workshop& shop) {
  for (const auto& [name, description] : shop.descriptions)
    FeatureStore::open_or_create(study.store / name, description);
  for (Job& job : shop.jobs) {
    job.plan.save();
    const auto read = [&](const std::string& id) {
      return treated_audio(job, job.corpus->utterances()[*job.corpus->find(id)]);
    };
    const std::vector<std::size_t> taps = indices_of(job.store->description().spec.taps, *job.upstream);
    record_long_utterances(job.plan.folder(), *job.upstream, taps, job.utterances, read);
    record_compute(job.store->folder(), *job.upstream, taps, job.utterances, read);
  }
}

/// By job, on rank 0.
Json names_of_missing(const Workshop& shop) {
  Json missing = Json::array();
  for (const Job& job : shop.jobs) {
    Json& names = missing.emplace_back(Json::array());
    for (const ShardPlan& shard : job.missing) names.push_back(shard.name);
  }
  return missing;
}

/// Units are known by their number, so that all ranks take the list of rank 0: another may see fewer files, on a
/// network file system, or more.
///   missing  names_of_missing of rank 0
void list_units(const Json& missing, Workshop& shop) {
  for (std::size_t j = 0; j < shop.jobs.size(); ++j) {
    Job& job = shop.jobs[j];
    const auto names = missing.at(j).get<std::set<std::string>>();
    job.missing.clear();
    for (const ShardPlan& shard : job.plan.shards()) {
      if (!names.contains(shard.name)) continue;
      if (shard.compression == hdf5::Compression::kBlosc)  // an earlier study asked for it
        require_blosc((job.plan.folder() / shard.name).string());
      shop.units.push_back({j, job.missing.size()});
      job.missing.push_back(shard);
    }
    if (job.missing.size() != names.size())
      throw DataError(fmt::format("{}: this rank sees another plan than rank 0", job.plan.folder().string()));
  }
}

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
    if (utterance) decoded = std::async(std::launch::async, [&job, utterance] { return treated_audio(job, *utterance); });
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
    return Json{{"done", {{"utterances", done.utterances}, {"failed", done.failed}, {"audio_seconds", done.audio_seconds}}}};
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

/// Utterances of the study's corpora of which taps are lacking, since no run could decode them.
std::int64_t count_failed(const Workshop& shop) {
  std::int64_t count = 0;
  for (const Job& job : shop.jobs) {
    const FailedIds failed = failed_ids(job.plan);
    std::map<std::string, std::set<std::string>> lacking;  // taps by utterance
    for (const ShardPlan& shard : job.plan.shards()) {     // later ones may have what earlier ones lack
      const auto of_shard = failed.find(shard.name);
      if (of_shard == failed.end()) continue;
      const std::vector<Tap> taps = job.store->taps_of(shard);
      for (const std::string& id : of_shard->second) {
        for (const Tap& tap : taps) lacking[id].insert(tap.name);
      }
      for (const std::string& id : shard.ids) {
        const auto known = lacking.find(id);
        if (known == lacking.end() || of_shard->second.contains(id)) continue;
        for (const Tap& tap : taps) known->second.erase(tap.name);
      }
    }
    count += std::ranges::count_if(lacking, [](const auto& entry) { return !entry.second.empty(); });
  }
  return count;
}

}  // namespace

std::unique_ptr<Upstream> open_study_upstream(const Study& study, const std::string& name, const ModelSearch& search) {
  const UpstreamEntry& entry = study.upstreams.at(name);
  ModelSearch here = search;
  here.root = study.root;
  return open_upstream(entry.model, here, FieldReader(entry.options, study.file.string(), "/upstreams/" + name));
}

StoreDescription describe_store(const std::string& name, const UpstreamEntry& entry, const Upstream& upstream, const std::string& study_file) {
  StoreDescription description;
  description.upstream = name;
  description.type = hdf5::stored_type(entry.dtype);
  description.spec.receptive_field_samples = upstream.spec().receptive_field_samples;
  description.compression = hdf5::compression(entry.compression);
  const std::vector<std::string> defaults = upstream.default_taps();
  const std::vector<std::string>& wanted = entry.taps.empty() ? defaults : entry.taps;
  const auto among = [](const std::vector<std::string>& names, const std::string& tap) {
    return std::find(names.begin(), names.end(), tap) != names.end();
  };
  std::vector<std::string> known;
  for (Tap tap : upstream.spec().taps) {
    known.push_back(tap.name);
    tap.listed = among(defaults, tap.name);
    description.available.push_back(tap);
    if (among(wanted, tap.name)) description.spec.taps.push_back(tap);
  }
  for (const std::string& tap : wanted) {
    if (among(known, tap)) continue;
    throw ConfigError(fmt::format("{} /upstreams/{}/taps: {} has no tap \"{}\"; it has {}", study_file, name,
                                  entry.model, tap, fmt::join(known, ", ")));
  }
  const Json identity = {{"upstream", upstream.fingerprint()}, {"dtype", entry.dtype}, {"compute", upstream.compute()}};
  description.fingerprint = sha256(identity.dump());
  return description;
}

ExtractSummary extract(const Study& study, const Communicator& ranks, const ExtractOptions& options) {
  const bool first = ranks.rank() == 0;
  Workshop shop;
  std::unique_ptr<Owner> owner;
  together(ranks, [&] {
    shop.device = choose_device(study.device, ranks);
    open_all(study, options, shop);
  });
  together(ranks, [&] { if (first) owner = std::make_unique<Owner>(study.store, "strata extract"); });
  together(ranks, [&] {
    if (!first) return;
    plan_jobs(study, options, true, shop);
    check_room(study, options, shop);
    save_plans(study, shop);
  });
  together(ranks, [&] { if (!first) plan_jobs(study, options, false, shop); });
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
  const Json shared = Json::parse(ranks.broadcast(Json{{"failed", summary.failed}, {"stopped", summary.stopped}}.dump(), 0));
  summary.failed = shared["failed"];
  summary.stopped = shared["stopped"];
  return summary;
}

}  // namespace strata

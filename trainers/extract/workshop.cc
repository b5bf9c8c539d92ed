#include "trainers/extract/workshop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "data/audio/audio.h"
#include "data/store/blosc.h"
#include "data/store/strip.h"
#include "trainers/extract/changes.h"
#include "trainers/extract/describe_store.h"
#include "trainers/extract/long_utterances.h"

namespace strata {
namespace {

std::unique_ptr<Upstream> open_study_upstream(const Study& study, const std::string& name, const ModelSearch& search) {
  const UpstreamEntry& entry = study.upstreams.at(name);
  ModelSearch here = search;
  here.root = study.root;
  return open_upstream(entry.model, here, FieldReader(entry.options, study.file.string(), "/upstreams/" + name));
}

double duration_of(const Utterance& utterance) {
  return utterance.duration ? *utterance.duration : audio_info(utterance.audio).duration_seconds() - utterance.offset;
}

std::string resolved_effects_place(const std::string& corpus) { return "/corpora/" + corpus + "/effects"; }

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

}  // namespace

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
    throw DataError(
        fmt::format("{}: the features take about {:.1f} MB, only {:.1f} MB are free there; make room, store fewer taps "
                    "or a smaller dtype, or give --ignore-free-space",
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

Json names_of_missing(const Workshop& shop) {
  Json missing = Json::array();
  for (const Job& job : shop.jobs) {
    Json& names = missing.emplace_back(Json::array());
    for (const ShardPlan& shard : job.missing) names.push_back(shard.name);
  }
  return missing;
}

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

std::vector<float> treated_audio(const Job& job, const Utterance& utterance) {
  return apply_effects(job.effects, read_audio(utterance.audio, {utterance.offset, utterance.duration}));
}

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

}  // namespace strata

#include "data/speech/speech.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/tensor/feature_spec.h"
#include "data/audio/audio.h"

namespace strata {
namespace {

constexpr int kPcmVersion = 1;  // raised when the samples of equal audio change

/// As the manifest or, where it is silent, the file's header says it; 0 if that cannot be read.
double seconds_of(const Utterance& utterance) {
  if (utterance.duration) return *utterance.duration;
  try {
    return std::max(0.0, audio_info(utterance.audio).duration_seconds() - utterance.offset);
  } catch (const DataError&) {
    return 0;  // recorded as failed when its turn comes
  }
}

std::string fingerprint_of(const std::vector<SpeechRequest>& requests, double shard_seconds) {
  Json identity = {{"version", kPcmVersion}, {"shard_seconds", shard_seconds}, {"corpora", Json::array()}};
  for (const SpeechRequest& request : requests) {
    Json ids = Json::array();
    for (const std::size_t u : request.utterances) ids.push_back(request.manifests->utterances()[u].id);
    identity["corpora"].push_back({{"name", request.corpus},
                                   {"manifests", request.manifests->content_hash()},
                                   {"effects", request.treatment},
                                   {"utterances", std::move(ids)}});
  }
  return sha256(identity.dump());
}

}  // namespace

SpeechPlan::SpeechPlan(const fs::path& parent, const std::vector<SpeechRequest>& requests, double shard_seconds)
    : fingerprint_(fingerprint_of(requests, shard_seconds)) {
  folder_ = parent / fingerprint_.substr(0, 16);
  for (const SpeechRequest& request : requests) {
    double seconds = shard_seconds;  // a new file for each corpus
    for (const std::size_t u : request.utterances) {
      const Utterance& utterance = request.manifests->utterances()[u];
      if (seconds >= shard_seconds) {
        shards_.emplace_back();
        seconds = 0;
      }
      shards_.back().push_back({request.corpus + "/" + utterance.id, &utterance, request.effects});
      seconds += seconds_of(utterance);
    }
  }
}

fs::path SpeechPlan::shard_path(std::size_t shard) const { return folder_ / fmt::format("pcm-{:05}.h5", shard); }

std::vector<std::size_t> SpeechPlan::missing() const {
  std::vector<std::size_t> missing;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    if (!fs::exists(shard_path(s))) missing.push_back(s);
  }
  return missing;
}

void SpeechPlan::write_shard(std::size_t shard) const {
  std::vector<PcmUtterance> utterances;
  std::vector<UndecodedUtterance> failed;
  for (const Item& item : shards_[shard]) {
    const Utterance& u = *item.utterance;
    try {
      utterances.push_back(
          {item.key, to_pcm(apply_effects(*item.effects, read_audio(u.audio, {u.offset, u.duration})))});
    } catch (const DataError& e) {
      log_warning("{}: utterance \"{}\" is left out: {}", u.place, u.id, e.what());
      failed.push_back({item.key, e.what()});
    }
  }
  write_pcm_shard(shard_path(shard), utterances, failed);
}

void SpeechPlan::write(const std::vector<std::size_t>& shards, int rank, int world_size, int threads,
                       const std::function<bool()>& stop, const std::function<void(std::int64_t)>& written) const {
  std::atomic<std::size_t> next = static_cast<std::size_t>(rank);
  std::atomic<bool> broken = false;
  std::mutex mutex;
  std::exception_ptr first;
  const auto work = [&] {
    try {
      while (!broken && !stop()) {
        const std::size_t mine = next.fetch_add(static_cast<std::size_t>(world_size));
        if (mine >= shards.size()) return;
        write_shard(shards[mine]);
        written(static_cast<std::int64_t>(size(shards[mine])));
      }
    } catch (...) {
      broken = true;
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  };
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) pool.emplace_back(work);
  for (std::thread& thread : pool) thread.join();
  if (first) std::rethrow_exception(first);
}

Speech::Speech(const SpeechPlan& plan) {
  for (std::size_t s = 0; s < plan.shards(); ++s) {
    shards_.push_back(std::make_unique<PcmShard>(plan.shard_path(s)));
    const PcmShard& shard = *shards_.back();
    for (std::size_t u = 0; u < shard.ids().size(); ++u) places_.push_back({s, u});
    failed_.insert(failed_.end(), shard.failed().begin(), shard.failed().end());
  }
}

const std::string& Speech::key(std::size_t utterance) const {
  const Place& place = places_.at(utterance);
  return shards_[place.shard]->ids()[place.utterance];
}

std::int64_t Speech::samples(std::size_t utterance) const {
  const Place& place = places_.at(utterance);
  return shards_[place.shard]->samples(place.utterance);
}

at::Tensor Speech::wave(std::size_t utterance, std::int64_t from, std::int64_t length) const {
  const Place& place = places_.at(utterance);
  return shards_[place.shard]->wave(place.utterance, from, length);
}

double Speech::seconds() const {
  double samples_in_all = 0;
  for (std::size_t u = 0; u < size(); ++u) samples_in_all += static_cast<double>(samples(u));
  return samples_in_all / kSampleRateHz;
}

}  // namespace strata

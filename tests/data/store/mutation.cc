#include "tests/data/store/mutation.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <span>
#include <stdexcept>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "data/store/blosc.h"
#include "data/store/corpus_features.h"
#include "data/store/store.h"
#include "data/store/verified.h"
#include "tests/core/upstreams/mutator.h"
#include "tests/data/store/small_store.h"
#include "trainers/extract/long_utterances.h"

namespace strata {
namespace {

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 3, 640}};

struct Form {
  hdf5::StoredType type;
  hdf5::Compression compression;
};

/// How frames are stored. Cases take turns. Blosc's come where its plugin is.
std::vector<Form> all_forms() {
  using hdf5::Compression;
  using hdf5::StoredType;
  std::vector<Form> forms = {{StoredType::kFloat16, Compression::kNone},
                             {StoredType::kInt8, Compression::kNone},
                             {StoredType::kFloat32, Compression::kDeflate},
                             {StoredType::kInt8, Compression::kDeflate}};
  try {
    require_blosc("the campaigns");
    forms.push_back({StoredType::kFloat16, Compression::kBlosc});
    forms.push_back({StoredType::kInt8, Compression::kBlosc});
  } catch (const ConfigError&) {
  }
  return forms;
}

using Frames = std::map<std::string, std::string>;  // by utterance and tap

std::vector<PlannedUtterance> planned() {
  std::vector<PlannedUtterance> utterances;
  for (int u = 0; u < 8; ++u) utterances.push_back({fmt::format("u{}", u), 320});
  return utterances;
}

/// Two shards of four utterances, one of which could not be decoded.
void write_whole(const fs::path& folder, const Form& form) {
  fs::remove_all(folder);
  StoreDescription description{"small", "fingerprint", form.type, {kTaps, 400}, {{"model", "m"}}};
  description.compression = form.compression;
  const FeatureStore store = FeatureStore::open_or_create(folder, description);
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("c"));
  plan.extend(planned(), store.description(), Json::array(), 40);  // an utterance has 11 bytes
  plan.save();
  for (const ShardPlan& shard : plan.shards()) {
    std::vector<ShardUtterance> utterances;
    for (std::size_t u = 1; u < shard.ids.size(); ++u) {
      const auto frames = 200 * static_cast<std::int64_t>(shard.ids[u].back() - '0');  // most of the file
      utterances.push_back(utterance(shard.ids[u], kTaps, {frames, (frames + 1) / 2}, form.type));
    }
    write_shard(plan.folder() / shard.name, kTaps, form.type, utterances, {{shard.ids[0], "no such file"}},
                form.compression, store.origin_of("c", shard.name));
  }
  VerifiedShards verified(plan.folder());
  for (const ShardPlan& shard : plan.shards()) verified.add(ShardReader(plan.folder() / shard.name, kTaps, form.type));
  verified.save();
  const Json change = {{"h0", {{"relative_rms", 0.01}, {"relative_peak", 0.02}}}};
  const Json cut = {{"utterances", Json::array({"u6", "u7"})}, {"measured_on", "u6"}, {"change", change}};
  write_file_atomically(plan.folder() / "long-utterances.json", cut.dump());
}

/// Reads all there is, as the program does; utterances whose checksums differ are counted in `damaged`.
Frames read_all(const fs::path& folder, std::size_t* damaged) {
  const FeatureStore store = FeatureStore::open(folder);
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("c"));
  plan.extend(planned(), store.description(), Json::array(), 40);  // an utterance has 11 bytes
  const VerifiedShards verified(store.corpus_folder("c"));
  long_utterances_text(store.corpus_folder("c") / "long-utterances.json");
  const CorpusFeatures features(store, "c");
  Frames frames;
  for (const auto& shard : features.shards()) {
    *damaged += shard->verify().size();
    verified.contains(*shard);
    for (const std::string& id : shard->ids()) {
      for (std::size_t t = 0; t < store.description().spec.taps.size(); ++t) {
        features.prefetch(id, t);
        const at::Tensor x = features.read(id, t).contiguous();
        frames[fmt::format("{}/{}", id, t)] = fmt::format("{} {} ", x.size(0), x.size(1)) +
                                              std::string(static_cast<const char*>(x.const_data_ptr()), x.nbytes());
      }
    }
  }
  return frames;
}

enum Answer { kRefused, kDamaged, kWhole, kDied };

/// Throws std::runtime_error for an answer that is not allowed.
Answer answer_of(const fs::path& folder, const Frames& expected, bool frames_may_differ) {
  try {
    std::size_t damaged = 0;
    const Frames found = read_all(folder, &damaged);
    if (damaged > 0) return kDamaged;
    if (frames_may_differ) return kWhole;
    for (const auto& [name, frames] : found) {
      if (!expected.contains(name) || expected.at(name) != frames)
        throw std::runtime_error(name + " has other frames than were written, and nothing tells");
    }
    return kWhole;
  } catch (const Error& e) {
    const std::string what = e.what();
    if (what.find('\n') != std::string::npos || what.find(folder.string()) == std::string::npos)
      throw std::runtime_error("an error that is not one line with the file's name: " + what);
    return kRefused;
  }
}

constexpr int kNotAllowed = 9;

/// HDF5 may die of a hostile file, our own code may not: calls of the library are made under its lock.
void exit_by_culprit(int) { std::_Exit(hdf5::library_lock().try_lock() ? kNotAllowed : kDied); }

/// The answer that a process of its own gives.
Answer answer_of_child(const std::function<Answer()>& answer) {
  constexpr rlim_t kSeconds = 20;
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGXCPU}) ::signal(signal, exit_by_culprit);
    const rlimit limit{kSeconds, kSeconds + 1};
    ::setrlimit(RLIMIT_CPU, &limit);
    try {
      std::_Exit(answer());
    } catch (const std::exception& e) {
      fmt::print(stderr, "{}\n", e.what());
      std::_Exit(kNotAllowed);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) > kDied)
    throw std::runtime_error(fmt::format("it ended with status {}", status));
  return static_cast<Answer>(WEXITSTATUS(status));
}

/// Not flushed, unlike all that Strata writes: thousands of cases need not survive.
void write(const fs::path& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

void change(const fs::path& path, const std::function<std::string(const std::string&)>& to) {
  write(path, to(read_file(path)));
}

void swap_files(const fs::path& one, const fs::path& other) {
  fs::rename(one, one.string() + ".tmp");
  fs::rename(other, one);
  fs::rename(one.string() + ".tmp", other);
}

/// Two stretches of equal length change places.
std::string swapped(std::string content, Mutator& mutator) {
  const std::size_t length = 1 + mutator.below(content.size() / 4), room = content.size() - 2 * length;
  const std::size_t first = mutator.below(room + 1), second = first + length + mutator.below(room - first + 1);
  std::swap_ranges(content.begin() + static_cast<std::ptrdiff_t>(first),
                   content.begin() + static_cast<std::ptrdiff_t>(first + length),
                   content.begin() + static_cast<std::ptrdiff_t>(second));
  return content;
}

/// Changes the tables and HDF5's own structures; the sidecar then fits.
void make_hostile(const fs::path& shard, Mutator& mutator) {
  change(shard, [&](const std::string& content) { return mutator.bytes(content); });
  const std::string content = read_file(shard);
  Json sidecar = read_json(sidecar_path(shard));
  sidecar["size_bytes"] = content.size();
  sidecar["frame_data"] = Json::array();
  sidecar["checksum"] = fmt::format("{:016x}", xxh3(std::as_bytes(std::span(content.data(), content.size()))));
  write(sidecar_path(shard), sidecar.dump());
}

/// Every other file is one of older versions, without checksum, so that what it says is all that is wrong with it.
void damage_table(const fs::path& path, Mutator& mutator) {
  if (mutator.below(2) == 0) {
    change(path, [&](const std::string& content) { return mutator.bytes(content); });
    return;
  }
  Json json = read_json(path);
  json.erase("checksum");
  if (json.contains("format")) json["format"] = 2;
  write(path, mutator.json(json.dump()));
}

void damage(const std::string& campaign, const fs::path& folder, Mutator& mutator) {
  const fs::path corpus = folder / "c", shard = corpus / "shard-00000.h5", other = corpus / "shard-00001.h5";
  const auto json = [&](const std::string& content) { return mutator.json(content); };
  if (campaign == "shard") {
    change(shard, [&](const std::string& content) { return mutator.bytes(content); });
  } else if (campaign == "swap") {
    switch (mutator.below(4)) {
      case 0:
        swap_files(shard, other);
        if (mutator.below(2) == 0) swap_files(sidecar_path(shard), sidecar_path(other));
        break;
      case 1:
        swap_files(sidecar_path(shard), sidecar_path(other));
        break;
      default:
        change(shard, [&](const std::string& content) { return swapped(content, mutator); });
    }
  } else if (campaign == "sidecar") {
    change(sidecar_path(shard), json);
  } else if (campaign == "store") {
    damage_table(folder / "store.json", mutator);
  } else if (campaign == "generation") {
    damage_table(corpus / "generation-000.json", mutator);
  } else if (campaign == "verified") {
    change(corpus / "verified.json", json);
  } else if (campaign == "long_utterances") {
    change(corpus / "long-utterances.json", json);
  } else {
    make_hostile(shard, mutator);
  }
}

}  // namespace

std::vector<std::string> mutation_campaigns() {
  return {"shard", "swap", "sidecar", "store", "generation", "verified", "long_utterances", "hostile"};
}

MutationResult mutate_stores(const std::string& campaign, std::uint64_t seed, std::int64_t first, std::int64_t count,
                             const fs::path& work) {
  const fs::path folder = work / "store";
  std::size_t damaged = 0;
  const std::vector<Form> forms = all_forms();
  std::vector<fs::path> whole;
  std::vector<Frames> expected;
  for (const Form& form : forms) {
    whole.push_back(work / fmt::format("whole_{}", whole.size()));
    write_whole(whole.back(), form);
    expected.push_back(read_all(whole.back(), &damaged));
  }
  MutationResult result;
  for (std::int64_t c = first; c < first + count; ++c) {
    const std::size_t form = static_cast<std::size_t>(c) % forms.size();
    fs::remove_all(folder);
    fs::copy(whole[form], folder, fs::copy_options::recursive);
    Mutator mutator({seed, key_of(campaign), static_cast<std::uint64_t>(c)});
    damage(campaign, folder, mutator);
    try {
      const bool hostile = campaign == "hostile";
      const auto answer = [&] { return answer_of(folder, expected[form], hostile); };
      const Answer given = hostile ? answer_of_child(answer) : answer();
      (given == kRefused   ? result.refused
       : given == kDamaged ? result.damaged
       : given == kWhole   ? result.whole
                           : result.died) += 1;
    } catch (const std::exception& e) {
      throw std::runtime_error(fmt::format("{}, seed {}, case {}: {}", campaign, seed, c, e.what()));
    }
  }
  return result;
}

}  // namespace strata

// tools/bench store: reading, writing and opening feature stores, beside what disk and memory give and beside h5py.
#include "data/store/store.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <numeric>
#include <thread>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/config/json.h"
#include "data/store/corpus_features.h"
#include "tools/benchmarks/many_utterances.h"
#include "tools/benchmarks/measure.h"
#include "tools/benchmarks/new_store.h"
#include "tools/benchmarks/plain_reader.h"

namespace strata {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kLayers = 13, kWidth = 768;
const std::vector<std::size_t> kAll = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, kThree = {0, 6, 12};

struct Arguments {
  std::string peer, python = "python3", work = "runs/bench_store";
  std::int64_t utterances = 200, many = 1'000'000;
  double mean = 6;
  int rounds = 3;
};

template <class Action>
double seconds_of(const Action& action) {
  const auto start = Clock::now();
  action();
  return seconds_since(start);
}

/// Bytes that disks have given to this process.
std::int64_t device_bytes() {
  std::ifstream file("/proc/self/io");
  std::string name;
  for (std::int64_t value = 0; file >> name >> value;) {
    if (name == "read_bytes:") return value;
  }
  return 0;
}

void drop_from_cache(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::fdatasync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

void write_and_sync(const fs::path& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (n <= 0) throw FileError(path.string() + ": cannot write");
    at += static_cast<std::size_t>(n);
  }
  if (::fsync(fd) != 0) throw FileError(path.string() + ": cannot flush");
  ::close(fd);
}

/// Utterances of noise whose lengths lie around the mean; the noise is one block that they are cut from.
class Corpus {
 public:
  explicit Corpus(const Arguments& given) : noise_(at::randn({4'000'000}).to(at::kHalf)) {
    for (std::int64_t u = 0; u < given.utterances; ++u) {
      frames_.push_back(static_cast<std::int64_t>(50 * given.mean *
                                                  (0.5 + RandomStream({1, static_cast<std::uint64_t>(u)}).uniform())));
      ids_.push_back(fmt::format("utt{:06}", u));
    }
  }

  const std::vector<std::string>& ids() const { return ids_; }
  std::int64_t frames(std::size_t utterance) const { return frames_[utterance]; }
  std::int64_t bytes(std::size_t layers = kLayers) const {
    return std::accumulate(frames_.begin(), frames_.end(), std::int64_t{0}) * static_cast<std::int64_t>(layers) *
           kWidth * 2;
  }
  at::Tensor layer(std::size_t utterance, std::int64_t layer) const {
    return noise_.narrow(0, static_cast<std::int64_t>(utterance) * 13 + layer * 101, frames_[utterance] * kWidth)
        .view({frames_[utterance], kWidth});
  }

 private:
  at::Tensor noise_;
  std::vector<std::int64_t> frames_;
  std::vector<std::string> ids_;
};

struct WriteSeconds {
  double ours = 0, plain = 0;
  std::int64_t bytes = 0;
};

/// Writes the store, each shard beside a plain `write` and `fsync` of the same bytes into one file. Sums over rounds.
WriteSeconds write_store(const Corpus& corpus, const FeatureStore& store, const fs::path& plain, int rounds) {
  CorpusPlan plan = CorpusPlan::load(store.corpus_folder("noise"));
  std::vector<PlannedUtterance> planned;
  for (std::size_t u = 0; u < corpus.ids().size(); ++u) planned.push_back({corpus.ids()[u], corpus.frames(u) * 320});
  plan.extend(planned, store.description(), Json::array(), kNoiseShardBytes);
  plan.save();
  std::vector<ShardPlan> shards;
  for (int round = 0; round < rounds; ++round) shards.insert(shards.end(), plan.shards().begin(), plan.shards().end());
  WriteSeconds seconds;
  std::size_t u = 0;
  for (const ShardPlan& shard : shards) {
    u %= corpus.ids().size();
    fs::remove(plan.folder() / shard.name);
    std::vector<ShardUtterance> utterances;
    for (const std::string& id : shard.ids) {
      utterances.push_back({id, corpus.frames(u) * 320, {}});
      for (std::int64_t l = 0; l < kLayers; ++l) utterances.back().features.push_back(corpus.layer(u, l));
      ++u;
    }
    const fs::path path = plan.folder() / shard.name;
    seconds.ours += seconds_of([&] {
      write_shard(path, store.description().spec.taps, kNoiseType, utterances, {}, hdf5::Compression::kNone,
                  store.origin_of("noise", shard.name));
    });
    const std::string bytes = read_file(path);
    seconds.plain += seconds_of([&] { write_and_sync(plain, bytes); });
    seconds.bytes += static_cast<std::int64_t>(bytes.size());
    fs::remove(plain);
  }
  return seconds;
}

/// The peer's file: a dataset [13, T, 768] for each utterance, the layout of most dumps.
void write_peer_file(const Corpus& corpus, const fs::path& path) {
  const hdf5::Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  for (std::size_t u = 0; u < corpus.ids().size(); ++u) {
    std::vector<at::Tensor> layers;
    for (std::int64_t l = 0; l < kLayers; ++l) layers.push_back(corpus.layer(u, l));
    hdf5::write_dataset(file, corpus.ids()[u], hdf5::make_type(kNoiseType),
                        {kLayers, static_cast<hsize_t>(corpus.frames(u)), kWidth}, at::stack(layers).const_data_ptr(),
                        path.string());
  }
}

/// Touches each page of a tensor, which costs what having its bytes at hand costs.
std::int64_t touch(const at::Tensor& tensor) {
  constexpr std::int64_t kPage = 4096;
  const auto* bytes = static_cast<const std::int8_t*>(tensor.const_data_ptr());
  std::int64_t sum = 0;
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(tensor.nbytes()); at += kPage) sum += bytes[at];
  return sum;
}

/// Seconds that threads need which share the utterances; `begin()` gives each thread the function it calls with an id.
template <class Begin>
double shared_seconds(const std::vector<std::string>& ids, int threads, const Begin& begin) {
  std::atomic<std::size_t> next = 0;
  return seconds_of([&] {
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) {
      pool.emplace_back([&] {
        auto work = begin();
        for (std::size_t u = next++; u < ids.size(); u = next++) work(ids[u]);
      });
    }
    for (std::thread& thread : pool) thread.join();
  });
}

double pread_seconds(const PlainReader& reader, const std::vector<std::string>& ids,
                     const std::vector<std::size_t>& taps, int threads) {
  return shared_seconds(ids, threads, [&] {
    return [&, buffer = std::vector<char>(static_cast<std::size_t>(reader.largest()))](const std::string& id) mutable {
      reader.read(id, taps, buffer.data());
    };
  });
}

struct Reading {
  double seconds = 0;
  std::int64_t device_bytes = 0;
};

/// Reads utterances in this order as training does: batches, the next ones prefetched.
Reading read_in_batches(const CorpusFeatures& features, const std::vector<std::string>& ids,
                        const std::vector<std::size_t>& taps) {
  constexpr std::size_t kBatch = 8, kAhead = 2;
  const auto prefetch = [&](std::size_t batch) {
    for (std::size_t u = batch * kBatch; u < std::min(ids.size(), (batch + 1) * kBatch); ++u) {
      for (const std::size_t tap : taps) features.prefetch(ids[u], tap);
    }
  };
  const std::int64_t before = device_bytes();
  const auto start = Clock::now();
  std::int64_t sum = 0;
  for (std::size_t batch = 0; batch < kAhead; ++batch) prefetch(batch);
  for (std::size_t batch = 0; batch * kBatch < ids.size(); ++batch) {
    prefetch(batch + kAhead);
    for (std::size_t u = batch * kBatch; u < std::min(ids.size(), (batch + 1) * kBatch); ++u) {
      for (const std::size_t tap : taps) sum += touch(features.read(ids[u], tap));
    }
  }
  at::Tensor keep = at::empty({1}, at::kLong);
  keep.fill_(sum);
  return {seconds_since(start), device_bytes() - before};
}

/// The same without prefetching: what a loop over warm pages costs.
double warm_seconds(const CorpusFeatures& features, const std::vector<std::string>& ids, int threads) {
  std::atomic<std::int64_t> sum = 0;
  return shared_seconds(ids, threads, [&] {
    return [&](const std::string& id) {
      for (const std::size_t tap : kAll) sum += touch(features.read(id, tap));
    };
  });
}

/// Every tap into a float32 buffer that is used again.
///   longest  frames of an utterance, at most
double into_seconds(const CorpusFeatures& features, const std::vector<std::string>& ids, std::int64_t longest,
                    int threads) {
  return shared_seconds(ids, threads, [&] {
    return [&, buffer = at::empty({longest, kWidth}, at::kFloat)](const std::string& id) {
      for (const std::size_t tap : kAll) features.read_into(id, tap, buffer.narrow(0, 0, features.frames(id, tap)));
    };
  });
}

/// Plain copies that read and write as many bytes as `into_seconds`, 6 for each element, into a buffer that is used
/// again; what is copied comes from a block that is larger than caches.
double copy_seconds(const CorpusFeatures& features, const std::vector<std::string>& ids, std::int64_t longest,
                    int threads) {
  constexpr std::int64_t kBlock = 256 << 20, kFrameBytes = kWidth * 3;
  const at::Tensor block = at::ones({kBlock}, at::kChar);
  const auto* from = static_cast<const char*>(block.const_data_ptr());
  std::atomic<std::int64_t> place = 0;
  return shared_seconds(ids, threads, [&] {
    return [&, buffer = at::empty({longest * kFrameBytes}, at::kChar)](const std::string& id) {
      for (const std::size_t tap : kAll) {
        const std::int64_t bytes = features.frames(id, tap) * kFrameBytes;
        std::memcpy(buffer.mutable_data_ptr(), from + place.fetch_add(bytes) % (kBlock - bytes),
                    static_cast<std::size_t>(bytes));
      }
    };
  });
}

class ReadBench {
 public:
  ReadBench(const Corpus& corpus, const FeatureStore& store, const Arguments& given)
      : corpus_(corpus), store_(store), given_(given), ids_(corpus.ids()) {
    RandomStream random({7});
    random.shuffle(ids_);
  }

  Json warm() const {
    const CorpusFeatures features(store_, "noise");
    const PlainReader plain(features, kLayers);
    double ours = 1e30, of_two = 1e30, theirs = 1e30;
    warm_seconds(features, ids_, 1);
    pread_seconds(plain, ids_, kAll, 1);
    for (int round = 0; round < given_.rounds; ++round) {
      ours = std::min(ours, warm_seconds(features, ids_, 1));
      of_two = std::min(of_two, warm_seconds(features, ids_, 2));
      theirs = std::min(theirs, pread_seconds(plain, ids_, kAll, 1));
    }
    const double gigabytes = static_cast<double>(corpus_.bytes()) / 1e9;
    fmt::print("warm, random utterances: {:.1f} GB/s at hand; pread into a reused buffer {:.1f} GB/s: {:.1f} times\n",
               gigabytes / ours, gigabytes / theirs, theirs / ours);
    fmt::print("warm, random utterances, 2 threads: {:.1f} GB/s at hand, {:.2f} times one thread's\n",
               gigabytes / of_two, ours / of_two);
    return {{"warm_gb_s", gigabytes / ours},
            {"warm_2_threads_gb_s", gigabytes / of_two},
            {"warm_pread_gb_s", gigabytes / theirs},
            {"warm_ratio", theirs / ours}};
  }

  /// Of float16 utterances into a float32 buffer.
  Json into() const {
    const CorpusFeatures features(store_, "noise");
    std::int64_t longest = 0;
    for (std::size_t u = 0; u < ids_.size(); ++u) longest = std::max(longest, corpus_.frames(u));
    const double gigabytes = static_cast<double>(corpus_.bytes()) / 2 * 6 / 1e9;  // 2 bytes read, 4 written an element
    Json result = Json::object();
    for (const int threads : {1, 2}) {
      double ours = 1e30, copy = 1e30;
      into_seconds(features, ids_, longest, threads);
      for (int round = 0; round < given_.rounds; ++round) {
        ours = std::min(ours, into_seconds(features, ids_, longest, threads));
        copy = std::min(copy, copy_seconds(features, ids_, longest, threads));
      }
      fmt::print(
          "float16 utterances into a float32 buffer, warm, {} threads: {:.1f} GB/s read and written; a copy {:.1f} "
          "GB/s: {:.0f} %\n",
          threads, gigabytes / ours, gigabytes / copy, 100 * copy / ours);
      result[fmt::format("into_{}_threads_gb_s", threads)] = gigabytes / ours;
      result[fmt::format("into_copy_{}_threads_gb_s", threads)] = gigabytes / copy;
    }
    return result;
  }

  Json cold() const {
    const double gigabytes = static_cast<double>(corpus_.bytes()) / 1e9;
    double best = 1e30, ours = 1e30;
    int best_threads = 0;
    for (int round = 0; round < given_.rounds; ++round) {
      for (const int threads : {1, 4, 16}) {
        drop();
        const double seconds = cold_pread(threads);
        if (seconds < best) best_threads = threads;
        best = std::min(best, seconds);
      }
      drop();
      ours = std::min(ours, cold_ours(kAll).seconds);
    }
    drop();
    const Reading all = cold_ours(kAll);
    drop();
    const Reading three = cold_ours(kThree);
    const double share = static_cast<double>(three.device_bytes) / static_cast<double>(all.device_bytes);
    fmt::print("cold, random utterances: {:.2f} GB/s; the best pread ({} in flight) {:.2f} GB/s: {:.0f} %\n",
               gigabytes / ours, best_threads, gigabytes / best, 100 * best / ours);
    fmt::print("3 of 13 layers, cold: {:.4f} of the bytes of all (3/13 = {:.4f}), {:.2f} of the time\n", share,
               3.0 / 13, three.seconds / all.seconds);
    return {{"cold_gb_s", gigabytes / ours},      {"cold_pread_gb_s", gigabytes / best},
            {"cold_pread_threads", best_threads}, {"cold_share", best / ours},
            {"three_layers_bytes_share", share},  {"three_layers_time_share", three.seconds / all.seconds}};
  }

 private:
  void drop() const {
    for (const auto& entry : fs::recursive_directory_iterator(store_.folder())) {
      if (entry.path().extension() == ".h5") drop_from_cache(entry.path());
    }
  }
  double cold_pread(int threads) const {
    const CorpusFeatures features(store_, "noise");
    return pread_seconds(PlainReader(features, kLayers), ids_, kAll, threads);
  }
  Reading cold_ours(const std::vector<std::size_t>& taps) const {
    const CorpusFeatures features(store_, "noise");
    return read_in_batches(features, ids_, taps);
  }

  const Corpus& corpus_;
  const FeatureStore& store_;
  const Arguments& given_;
  std::vector<std::string> ids_;
};

/// Best rates of the peer, GB/s by access.
Json run_peer(const Arguments& given, const fs::path& file) {
  const std::string command =
      fmt::format("{} {} --features {} --reps {}", given.python, given.peer, file.string(), given.rounds);
  return last_line(output_of(command)).at("results");
}

/// Of float16 frames into a float32 buffer, beside a copy that moves as many bytes; one thread and all.
Json bench_conversion(int rounds) {
  constexpr std::int64_t kElements = 64 << 20;
  const at::Tensor half = at::randn({kElements}).to(at::kHalf);
  at::Tensor whole = at::empty({kElements}, at::kFloat);
  const at::Tensor from = at::zeros({kElements / 4 * 3}, at::kFloat);
  at::Tensor to = at::empty_like(from);
  Json result = Json::object();
  for (const int threads : {1, static_cast<int>(std::thread::hardware_concurrency())}) {
    at::set_num_threads(threads);
    double convert = 1e30, copy = 1e30;
    whole.copy_(half);
    to.copy_(from);
    for (int round = 0; round < 2 * rounds; ++round) {
      convert = std::min(convert, seconds_of([&] { whole.copy_(half); }));
      copy = std::min(copy, seconds_of([&] { to.copy_(from); }));
    }
    constexpr double kGigabytes = kElements * 6 / 1e9;
    fmt::print("float16 to float32, {} threads: {:.1f} GB/s read and written; a copy {:.1f} GB/s: {:.0f} %\n", threads,
               kGigabytes / convert, kGigabytes / copy, 100 * copy / convert);
    result[fmt::format("convert_{}_threads_gb_s", threads)] = kGigabytes / convert;
    result[fmt::format("copy_{}_threads_gb_s", threads)] = kGigabytes / copy;
  }
  return result;
}

void bench(const Arguments& given) {
  const fs::path work = fs::absolute(given.work);
  make_folder(work);
  at::set_num_threads(1);
  Json result = {{"name", "store"}, {"utterances", given.utterances}};
  for (const std::int64_t taps : {std::int64_t{1}, kLayers}) {  // first, while this process has hardly any memory
    if (given.many > 0) result[fmt::format("many_{}_taps", taps)] = open_many_utterances(fs::path(given.work) / fmt::format("many_{}_{}", given.many, taps), given.many, taps, given.rounds);
  }
  {
    const Corpus corpus(given);
    const FeatureStore store = make_store(work / "store", taps_of(kLayers, kWidth));
    fmt::print("{} utterances, {:.2f} GB of float16 in 13 layers of 768\n", given.utterances,
               static_cast<double>(corpus.bytes()) / 1e9);
    const WriteSeconds written = write_store(corpus, store, work / "plain", given.rounds);
    const double gigabytes = static_cast<double>(written.bytes) / 1e9;
    fmt::print("written: {:.2f} GB/s; a plain write and fsync of the same bytes {:.2f} GB/s: {:.0f} %\n",
               gigabytes / written.ours, gigabytes / written.plain, 100 * written.plain / written.ours);
    result.update({{"write_gb_s", gigabytes / written.ours},
                   {"plain_write_gb_s", gigabytes / written.plain},
                   {"write_share", written.plain / written.ours}});
    const ReadBench reading(corpus, store, given);
    result.update(reading.warm());
    result.update(reading.into());
    result.update(reading.cold());
    if (!given.peer.empty()) {
      write_peer_file(corpus, work / "peer.h5");
      const Json peer = run_peer(given, work / "peer.h5");
      const double warm = peer.at("h5py_into/random/hot").at("gb_s"),
                   cold = peer.at("h5py_into/random/cold").at("gb_s");
      fmt::print(
          "h5py into one buffer, random utterances: warm {:.2f} GB/s, strata {:.1f} times; cold {:.2f} GB/s, strata "
          "{:.1f} times\n",
          warm, result["warm_gb_s"].get<double>() / warm, cold, result["cold_gb_s"].get<double>() / cold);
      result.update({{"peer_warm_gb_s", warm}, {"peer_cold_gb_s", cold}, {"peer", peer}});
      fs::remove(work / "peer.h5");
    }
    fs::remove_all(work / "store");
  }
  result.update(bench_conversion(given.rounds));
  fmt::print("{}\n", result.dump());
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::Arguments given;
  CLI::App app(
      "Speed of a feature store of noise, in float16: written, read warm and cold, opened; the best of the rounds.");
  app.add_option("--peer", given.peer, "Python script of a peer that takes --features and --reps, as h5py's reading");
  app.add_option("--python", given.python, "the Python that runs it");
  app.add_option("--work", given.work, "folder for the stores: the disk under test");
  app.add_option("--utterances", given.utterances, "of the store that is written and read");
  app.add_option("--mean", given.mean, "seconds of an utterance");
  app.add_option("--many", given.many, "utterances of the store that is only opened; 0: none");
  app.add_option("--rounds", given.rounds, "repetitions of each");
  app.footer("Example:\n  tools/bench store --peer read_hdf5.py --python venv/bin/python");
  CLI11_PARSE(app, argc, argv);
  try {
    strata::bench(given);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench store: error: {}\n", e.what());
    return 1;
  }
  return 0;
}

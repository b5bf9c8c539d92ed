// tools/bench types STORE/UPSTREAM CORPUS: what each way of storing the features of a float store takes on disk and in
// time.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <functional>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/config/json.h"
#include "data/store/corpus_features.h"

namespace strata {
namespace {

struct Arguments {
  std::string store, corpus, work = "/tmp";
  double megabytes = 400;  // of float32
};

/// Some utterances of a store in float32, cut into shards.
struct Sample {
  std::vector<Tap> taps;
  std::vector<std::vector<ShardUtterance>> shards;
  double float_bytes = 0, audio_seconds = 0;
};

Sample read_sample(const Arguments& given) {
  constexpr double kShardBytes = 64 << 20;
  const FeatureStore store = FeatureStore::open(given.store);
  const CorpusFeatures features(store, given.corpus);
  Sample sample;
  sample.taps = store.description().spec.taps;
  double in_shard = kShardBytes;
  for (const auto& shard : features.shards()) {
    for (const std::string& id : shard->ids()) {
      if (!features.contains(id) || sample.float_bytes >= given.megabytes * 1e6) continue;
      if (in_shard >= kShardBytes) {
        sample.shards.emplace_back();
        in_shard = 0;
      }
      ShardUtterance u{id, features.samples(id), {}};
      for (std::size_t t = 0; t < sample.taps.size(); ++t)
        u.features.push_back(features.read(id, t).to(at::kFloat, false, /*copy=*/true));  // no view of a mapping
      for (const at::Tensor& x : u.features) in_shard += static_cast<double>(x.nbytes());
      for (const at::Tensor& x : u.features) sample.float_bytes += static_cast<double>(x.nbytes());
      sample.audio_seconds += static_cast<double>(u.samples) / kSampleRateHz;
      sample.shards.back().push_back(std::move(u));
    }
  }
  return sample;
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Writes the sample in this form, then reads each utterance's taps in random order from the page cache.
Json measure(const Sample& sample, hdf5::StoredType type, hdf5::Compression compression, const fs::path& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::vector<std::vector<ShardUtterance>> shards = sample.shards;
  for (auto& shard : shards) {
    for (ShardUtterance& u : shard) {
      for (at::Tensor& x : u.features) x = x.to(scalar_type(type));
    }
  }
  std::vector<fs::path> paths;
  for (std::size_t s = 0; s < shards.size(); ++s) paths.push_back(folder / fmt::format("shard-{:05}.h5", s));
  const double writing = seconds_of([&] {
    for (std::size_t s = 0; s < shards.size(); ++s)
      write_shard(paths[s], sample.taps, type, shards[s], {}, compression);
  });
  double bytes = 0;
  std::vector<std::unique_ptr<ShardReader>> readers;
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (std::size_t s = 0; s < shards.size(); ++s) {
    bytes += static_cast<double>(fs::file_size(paths[s]));
    readers.push_back(std::make_unique<ShardReader>(paths[s], sample.taps, type));
    for (std::size_t u = 0; u < shards[s].size(); ++u) places.emplace_back(s, u);
  }
  RandomStream({1, 1}).shuffle(places);
  const auto read_all = [&] {  // each frame is touched: copied, as into a batch
    for (const auto& [s, u] : places) {
      for (std::size_t t = 0; t < sample.taps.size(); ++t) readers[s]->read(t, u).clone();
    }
  };
  read_all();
  const double reading = seconds_of(read_all);
  const double verifying = seconds_of([&] {
    for (const auto& reader : readers) {
      if (!reader->verify().empty()) throw DataError("a shard differs from its checksums");
    }
  });
  fs::remove_all(folder);
  const Json row = {{"dtype", hdf5::name_of(type)},
                    {"compression", hdf5::name_of(compression)},
                    {"mb_per_hour", bytes / 1e6 / sample.audio_seconds * 3600},
                    {"share_of_float32", bytes / sample.float_bytes},
                    {"write_mb_s", bytes / 1e6 / writing},
                    {"write_float32_mb_s", sample.float_bytes / 1e6 / writing},
                    {"read_float32_mb_s", sample.float_bytes / 1e6 / reading},
                    {"verify_mb_s", bytes / 1e6 / verifying}};
  fmt::print(
      "{:8} {:8} {:7.0f} MB an hour, {:5.1f} % of float32; of features as float32: written {:6.0f} MB/s, read {:6.0f} "
      "MB/s; verified {:6.0f} MB/s of file\n",
      hdf5::name_of(type), hdf5::name_of(compression), row["mb_per_hour"].get<double>(),
      100 * row["share_of_float32"].get<double>(), row["write_float32_mb_s"].get<double>(),
      row["read_float32_mb_s"].get<double>(), row["verify_mb_s"].get<double>());
  return row;
}

void run(const Arguments& given) {
  at::set_num_threads(1);
  const Sample sample = read_sample(given);
  fmt::print(
      "{}: {:.0f} s of audio, {} taps, {:.0f} MB in float32; one thread, shards of 64 MB in float32, flushed to disk\n",
      given.store, sample.audio_seconds, sample.taps.size(), sample.float_bytes / 1e6);
  Json rows = Json::array();
  for (std::size_t c = 0; c < hdf5::compression_names().size(); ++c) {
    for (std::size_t t = 0; t < hdf5::stored_type_names().size(); ++t) {
      rows.push_back(measure(sample, static_cast<hdf5::StoredType>(t), static_cast<hdf5::Compression>(c),
                             fs::path(given.work) / "strata_bench_types"));
    }
  }
  fmt::print("{}\n", rows.dump());
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::Arguments given;
  CLI::App app(
      "Size on disk, and rates of writing and reading, of every type and compression, on features that are stored.");
  app.add_option("store", given.store, "STORE/UPSTREAM: best of a float32 store")->required();
  app.add_option("corpus", given.corpus, "corpus in it")->required();
  app.add_option("--work", given.work, "folder for what is written");
  app.add_option("--megabytes", given.megabytes, "of features in float32")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    strata::run(given);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}

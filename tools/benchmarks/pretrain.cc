// tools/bench pretrain: audio seconds a second of the training steps of `strata pretrain` (forward, backward,
// reduction, optimizer), beside the same model in PyTorch on the same files and cores.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/config/json.h"
#include "core/tensor/feature_spec.h"
#include "tools/benchmarks/measure.h"

namespace strata {
namespace {

struct Arguments {
  std::string program = std::getenv("STRATA_PROGRAM") ? std::getenv("STRATA_PROGRAM") : "strata";
  std::string objective = "hubert", peer, python = "python3", work = "runs";
  int utterances = 128, ranks = 2, steps = 20, rounds = 2;
  bool keep = false;
};

// The model of both, and their batches.
constexpr double kChannels = 64, kWidth = 192, kInner = 768, kClasses = 100, kFinal = 256;
/// As core/base/memory.cc sets it for the program.
constexpr const char* kMallocOptions = "dirty_decay_ms:10000,muzzy_decay_ms:10000,oversize_threshold:0";
constexpr int kLayers = 4, kLogEvery = 5, kDev = 4;
constexpr double kBatchSeconds = 48, kMinSeconds = 1, kMaxSeconds = 8;

/// Multiplications and additions of a step over an utterance: three times those of its forward pass, as each product
/// has two in the backward pass, and once what a teacher computes. With n frames of width d = 192:
///   stem, projection  2 n' C_in C_out kernel of each convolution with its own frames n', 2 n 64 d
///   positions         2 n d (d / 16) 128: 16 groups, kernel 128; in data2vec five convolutions of kernel 19
///   a layer           2 n (4 d d + 2 d 768) for the linears, 4 n n d for scores and mixing of the attention
///   the head          a linear on the masked frames, 1 - exp(-0.8) of all as spans overlap, and its products with the
///                     units' embeddings
/// MR-HuBERT: four layers of n frames, two of n / 2, between them convolutions of kernel 1 (3 n d d for each change of
/// rate), a head at each rate.
double flops_of(const std::string& objective, std::int64_t samples) {
  const std::vector<std::int64_t> kernels = {10, 3, 3, 3, 3, 2, 2}, strides = {5, 2, 2, 2, 2, 2, 2};
  double stem = 0, in = 1, n = static_cast<double>(samples);
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    n = std::floor((n - static_cast<double>(kernels[i])) / static_cast<double>(strides[i])) + 1;
    stem += 2 * n * kChannels * in * static_cast<double>(kernels[i]);
    in = kChannels;
  }
  constexpr double d = kWidth;
  const double front = stem + 2 * n * kChannels * d, masked = n * (1 - std::exp(-0.8));
  const auto layers = [&](int count, double frames) {
    return count * (2 * frames * (4 * d * d + 2 * d * kInner) + 4 * frames * frames * d);
  };
  const double units = 2 * masked * (d * kFinal + kFinal * kClasses);
  if (objective == "data2vec") {
    const double encoder = 5 * 2 * n * d * (d / 16) * 19 + layers(kLayers, n);
    return 3 * (front + encoder + 2 * masked * d * d) + encoder;
  }
  const double positions = 2 * n * d * (d / 16) * 128;
  if (objective == "mrhubert")
    return 3 * (front + positions + layers(4, n) + layers(2, n / 2) + 2 * 3 * n * d * d + 1.5 * units);
  return 3 * (front + positions + layers(kLayers, n) + units);
}

/// A WAV file of 16-bit samples, which Python's own library reads (data/audio writes float32, which it does not).
void write_pcm_wav(const fs::path& path, const std::vector<std::int16_t>& samples) {
  std::string bytes;
  const auto append = [&bytes](auto value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  const auto size = static_cast<std::uint32_t>(samples.size() * sizeof(std::int16_t));
  bytes += "RIFF";
  append(size + 36);
  bytes += "WAVEfmt ";
  append(std::uint32_t{16});
  append(std::uint16_t{1});  // PCM
  append(std::uint16_t{1});  // channel
  append(static_cast<std::uint32_t>(kSampleRateHz));
  append(static_cast<std::uint32_t>(kSampleRateHz * sizeof(std::int16_t)));
  append(static_cast<std::uint16_t>(sizeof(std::int16_t)));
  append(std::uint16_t{16});  // bits
  bytes += "data";
  append(size);
  bytes.append(reinterpret_cast<const char*>(samples.data()), size);
  write_file_atomically(path, bytes);
}

/// Noise as files, manifest, splits, and the list of the training files for the peer; returns the samples of each of
/// these. Lengths as speech has them: log-normal, 2.6 s in the middle, 3 s on average.
std::vector<std::int64_t> write_audio(const Arguments& given, const fs::path& folder) {
  std::vector<std::int64_t> lengths;
  std::string manifest, list, train, dev;
  for (int i = 0; i < given.utterances + kDev; ++i) {
    RandomStream random({1, static_cast<std::uint64_t>(i)});
    const double seconds = std::clamp(2.6 * std::exp(0.5 * random.normal()), kMinSeconds, kMaxSeconds);
    std::vector<std::int16_t> samples(static_cast<std::size_t>(seconds * kSampleRateHz));
    for (std::int16_t& sample : samples)
      sample = static_cast<std::int16_t>(std::clamp(3000 * random.normal(), -32767.0, 32767.0));
    const std::string id = fmt::format("u{:04}", i);
    write_pcm_wav(folder / (id + ".wav"), samples);
    manifest +=
        Json{{"id", id}, {"audio", id + ".wav"}, {"duration", static_cast<double>(samples.size()) / kSampleRateHz}}
            .dump() +
        "\n";
    if (i >= given.utterances) {
      dev += id + "\n";
      continue;
    }
    train += id + "\n";
    list += (folder / (id + ".wav")).string() + "\n";
    lengths.push_back(static_cast<std::int64_t>(samples.size()));
  }
  write_file_atomically(folder / "utterances.jsonl", manifest);
  write_file_atomically(folder / "ssl.train.txt", train);
  write_file_atomically(folder / "ssl.dev.txt", dev);
  write_file_atomically(folder / "files.txt", list);
  return lengths;
}

Json objective_of(const Arguments& given) {
  Json objective = {{"type", given.objective},     {"conv_channels", kChannels},
                    {"hidden_size", kWidth},       {"heads", 4},
                    {"intermediate_size", kInner}, {"dropout", 0.1}};
  if (given.objective != "mrhubert") objective["layers"] = kLayers;
  if (given.objective != "data2vec") objective.update({{"classes", kClasses}, {"final_dim", kFinal}});
  if (given.objective == "mrhubert") objective.update({{"resolutions", 2}, {"layers", {2, 2, 2}}});
  return objective;
}

/// A study of one model, `bench`. Its k-means is as short as it can be: nothing of its time is measured.
Json study_of(const Arguments& given) {
  Json model = {
      {"objective", objective_of(given)},
      {"optimizer",
       {{"type", "adamw"}, {"learning_rate", 1e-4}, {"betas", {0.9, 0.98}}, {"eps", 1e-6}, {"weight_decay", 0.01}}},
      {"steps", given.steps},
      {"batch_seconds", kBatchSeconds},
      {"log_every", kLogEvery}};
  if (given.objective != "data2vec")
    model["units"] = {{"source", "mfcc"}, {"frames", 4000}, {"kmeans", {{"starts", 1}, {"iterations", 2}}}};
  return {{"name", "bench"},
          {"output", "output"},
          {"corpora", {{"noise", "audio"}}},
          {"pretrain",
           {{"speech",
             {{"train", {"noise/ssl.train"}},
              {"dev", {"noise/ssl.dev"}},
              {"min_seconds", 0.5},
              {"max_seconds", kMaxSeconds},
              {"licence", "none: noise"}}},
            {"models", {{"bench", model}}}}}};
}

/// The rate over all records of the journal but the first, which is the warm-up.
double rate_of(const fs::path& journal) {
  std::istringstream lines(read_file(journal));
  double audio = 0, seconds = 0;
  bool warm = false;
  for (std::string line; std::getline(lines, line);) {
    const Json event = Json::parse(line);
    if (event.at("event") != "step") continue;
    if (warm) {
      audio += event.at("audio_seconds").get<double>();
      seconds += event.at("audio_seconds").get<double>() / event.at("audio_seconds_per_second").get<double>();
    }
    warm = true;
  }
  if (seconds == 0) throw DataError(journal.string() + ": too few records to measure by");
  return audio / seconds;
}

/// Audio seconds a second of one training; decoded speech and units stay from the round before.
double run_strata(const Arguments& given, const fs::path& work) {
  const fs::path output = work / "output" / "pretrain";
  fs::remove_all(output / "training");
  fs::remove_all(output / "models");
  output_of(fmt::format("mpirun {}--bind-to none --oversubscribe -np {} '{}' --quiet pretrain '{}'",
                        ::geteuid() == 0 ? "--allow-run-as-root " : "", given.ranks, given.program,
                        (work / "study.json").string()));
  for (const auto& training : fs::directory_iterator(output / "training"))
    return rate_of(training.path() / "journal.jsonl");
  throw DataError((output / "training").string() + ": there is no training");
}

/// A way in which the peer uses the cores.
struct PeerConfiguration {
  int processes;         // that share the cores
  std::string batching;  // "padded" or "single"
  std::string name() const { return fmt::format("{} process{} {}", processes, processes == 1 ? "" : "es", batching); }
};

std::vector<PeerConfiguration> peer_configurations(const Arguments& given) {
  if (given.peer.empty()) return {};
  std::vector<PeerConfiguration> all = {{1, "padded"}, {1, "single"}};
  if (given.ranks > 1) all.insert(all.end(), {{given.ranks, "padded"}, {given.ranks, "single"}});
  return all;
}

/// With the allocator of the program, if it is found, as a good user would run it.
double run_peer(const Arguments& given, const fs::path& work, const PeerConfiguration& configuration) {
  const int threads = given.ranks / configuration.processes;
  return last_line(output_of(fmt::format("LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF={} OMP_NUM_THREADS={} "
                                         "'{}' '{}' --wavs '{}' --procs {} --threads {} --batching {} --batch-seconds "
                                         "{} --steps {} --warmup {}",
                                         kMallocOptions, threads, given.python, given.peer,
                                         (work / "audio" / "files.txt").string(), configuration.processes, threads,
                                         configuration.batching, kBatchSeconds, given.steps, kLogEvery)))
      .at("audio_per_s")
      .get<double>();
}

/// Audio seconds a second of each round.
struct Rates {
  double peak = 0;  // GFLOP/s of matrix products
  std::vector<double> ours;
  std::map<std::string, std::vector<double>> peer;  // by configuration
};

double best_of(const std::vector<double>& rates) { return *std::max_element(rates.begin(), rates.end()); }

Rates run_rounds(const Arguments& given, const fs::path& work) {
  Rates rates;
  for (int round = 0; round < given.rounds; ++round) {
    rates.peak = std::max(rates.peak, gemm_peak(given.ranks));
    rates.ours.push_back(run_strata(given, work));
    fmt::print("round {}: strata {:.1f} audio s/s", round + 1, rates.ours.back());
    std::fflush(stdout);
    for (const PeerConfiguration& configuration : peer_configurations(given)) {
      const double rate = run_peer(given, work, configuration);
      rates.peer[configuration.name()].push_back(rate);
      fmt::print(", peer in {} {:.1f}", configuration.name(), rate);
      std::fflush(stdout);
    }
    rates.peak = std::max(rates.peak, gemm_peak(given.ranks));
    fmt::print("; peak of matrix products {:.1f} GFLOP/s\n", rates.peak);
  }
  return rates;
}

Json summary(const Arguments& given, const Rates& rates, double audio, double flops) {
  const double gflop_per_s = flops / audio / 1e9, ours = best_of(rates.ours), middle = median(rates.ours);
  const auto fraction = [&](double rate) { return rate * gflop_per_s / rates.peak; };
  Json result = {{"name", "pretrain"},
                 {"objective", given.objective},
                 {"ranks", given.ranks},
                 {"steps", given.steps},
                 {"audio_s", audio},
                 {"gflop_per_audio_s", gflop_per_s},
                 {"gemm_fp32_gflops", rates.peak},
                 {"audio_per_s", ours},
                 {"audio_per_s_median", middle},
                 {"audio_per_s_rounds", rates.ours},
                 {"gflops", ours * gflop_per_s},
                 {"fraction_of_peak", fraction(ours)}};
  fmt::print("\n{:<24} {:>14} {:>9} {:>14}\n", "audio seconds a second", "best of rounds", "median", "share of peak");
  const auto row = [&](const std::string& name, const std::vector<double>& of) {
    fmt::print("{:<24} {:>14.1f} {:>9.1f} {:>12.1f} %\n", name, best_of(of), median(of), 100 * fraction(best_of(of)));
  };
  row(fmt::format("strata, {} ranks", given.ranks), rates.ours);
  if (rates.peer.empty()) return result;
  double peer = 0, peer_middle = 0;
  for (const auto& [name, of] : rates.peer) {
    row("peer, " + name, of);
    peer = std::max(peer, best_of(of));
    peer_middle = std::max(peer_middle, median(of));
  }
  fmt::print("strata is {:.2f} times as fast as the peer's best configuration; by medians {:.2f} times\n", ours / peer,
             middle / peer_middle);
  result.update({{"peer_rounds", rates.peer},
                 {"peer_audio_per_s", peer},
                 {"peer_audio_per_s_median", peer_middle},
                 {"peer_fraction_of_peak", fraction(peer)},
                 {"ratio", ours / peer},
                 {"ratio_of_medians", middle / peer_middle}});
  return result;
}

void bench(const Arguments& given) {
  if (!given.peer.empty() && given.objective != "hubert")
    throw ConfigError("--peer trains HuBERT only; leave it out, or take --objective hubert");
  const fs::path work = fs::absolute(given.work) / "bench_pretrain";
  fs::remove_all(work);
  const std::vector<std::int64_t> lengths = write_audio(given, work / "audio");
  write_file_atomically(work / "study.json", study_of(given).dump(1));
  double audio = 0, flops = 0;
  for (const std::int64_t samples : lengths) {
    audio += static_cast<double>(samples) / kSampleRateHz;
    flops += flops_of(given.objective, samples);
  }
  fmt::print("{} utterances, {:.1f} s of audio, {:.2f} GFLOP a second of it in a step; {} ranks, batches of {:.0f} s\n",
             lengths.size(), audio, flops / audio / 1e9, given.ranks, kBatchSeconds);
  const Json result = summary(given, run_rounds(given, work), audio, flops);
  if (!given.keep) fs::remove_all(work);
  fmt::print("{}\n", result.dump());
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::Arguments given;
  CLI::App app(
      "Throughput of strata pretrain on noise: audio seconds a second of forward, backward, reduction and optimizer of "
      "a small model, one rank a core; alternating with a peer (one process with all threads and one a core, batches "
      "padded and one utterance at a time), best of the rounds and medians.");
  app.add_option("--objective", given.objective, "what is trained; the peer has hubert only")
      ->check(CLI::IsMember({"hubert", "data2vec", "mrhubert"}));
  app.add_option("--peer", given.peer,
                 "Python script of a peer that takes --wavs, --procs, --threads, --batching, --batch-seconds, --steps, "
                 "--warmup, such as tools/benchmarks/pretrain_hf.py");
  app.add_option("--python", given.python, "the Python that runs it");
  app.add_option("--work", given.work, "folder in which bench_pretrain is made anew, with audio, units and trainings");
  app.add_option("--utterances", given.utterances, "to train on, of 1 to 8 s")->check(CLI::Range(64, 100000));
  app.add_option("--ranks", given.ranks, "of one thread each, and threads of the peer")->check(CLI::PositiveNumber);
  app.add_option("--steps", given.steps, "of a training; the first 5 are not counted")->check(CLI::Range(10, 1000000));
  app.add_option("--rounds", given.rounds, "alternating trainings of each")->check(CLI::PositiveNumber);
  app.add_flag("--keep", given.keep, "leave bench_pretrain there");
  app.footer(
      "Example:\n  tools/bench pretrain --peer tools/benchmarks/pretrain_hf.py --python venv/bin/python\n"
      "The peer needs torch and transformers.");
  CLI11_PARSE(app, argc, argv);
  try {
    strata::bench(given);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench pretrain: error: {}\n", e.what());
    return 1;
  }
  return 0;
}

// tools/bench extract: audio seconds a second of `strata extract`, beside Hugging Face's on the same files. On a GPU
// also how busy it was.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/config/json.h"
#include "core/upstreams/untrained.h"
#include "data/audio/audio.h"
#include "tools/benchmarks/measure.h"

namespace strata {
namespace {

struct Arguments {
  std::string program = std::getenv("STRATA_PROGRAM") ? std::getenv("STRATA_PROGRAM") : "strata";
  std::string peer, python = "python3", work = "runs/bench_extract", dtype = "float32", compute = "float32",
                    device = "cpu";
  double seconds = 120, mean = 12;
  int threads = 2, rounds = 3, batch = 4;

  bool on_gpu() const { return device != "cpu"; }
};

/// One run: its seconds, start-up left out, and on a GPU the share of them, in percent, in which it was computing.
struct Run {
  double seconds = 1e30;
  double gpu_percent = 0;
};

/// How the peer is run.
struct PeerRun {
  int procs = 1;  // processes that share the files and the threads
  int batch = 1;  // utterances of a batch
};

/// Multiplications and additions of HuBERT base over an utterance: stem, projection, positions, layers.
double flops_of(std::int64_t samples) {
  const std::vector<std::int64_t> kernels = {10, 3, 3, 3, 3, 2, 2}, strides = {5, 2, 2, 2, 2, 2, 2};
  double total = 0, in = 1;
  auto n = static_cast<double>(samples);
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    n = std::floor((n - kernels[i]) / strides[i]) + 1;
    total += 2 * n * 512 * in * kernels[i];
    in = 512;
  }
  constexpr double d = 768, inner = 3072;
  return total + 2 * n * 512 * d + 2 * n * d * (d / 16) * 128 +
         12 * (2 * n * (4 * d * d + 2 * d * inner) + 4 * n * n * d);
}

/// Noise of lengths around the mean, as files, manifest and list; returns the samples of each.
std::vector<std::int64_t> write_audio(const Arguments& given, const fs::path& folder) {
  std::vector<std::int64_t> lengths;
  std::string manifest, list;
  const auto count = std::max<std::int64_t>(1, std::llround(given.seconds / given.mean));
  for (std::int64_t i = 0; i < count; ++i) {
    RandomStream random({1, static_cast<std::uint64_t>(i)});
    std::vector<float> samples(static_cast<std::size_t>(given.mean * (0.5 + random.uniform()) * 16000));
    for (float& sample : samples) sample = static_cast<float>(0.1 * random.normal());
    const std::string name = fmt::format("u{:04}.wav", i);
    make_folder(folder);
    write_wav(folder / name, samples);
    lengths.push_back(static_cast<std::int64_t>(samples.size()));
    manifest +=
        Json{{"id", name}, {"audio", name}, {"duration", static_cast<double>(samples.size()) / 16000}}.dump() + "\n";
    list += fs::absolute(folder / name).string() + "\n";
  }
  write_file_atomically(folder / "utterances.jsonl", manifest);
  write_file_atomically(folder / "files.txt", list);
  return lengths;
}

/// What a command prints, and how busy the GPU was meanwhile.
struct Watched {
  std::string out;
  std::unique_ptr<GpuWatch> gpu;
};

Watched run_watched(const Arguments& given, const std::string& command) {
  Watched watched;
  if (given.on_gpu()) watched.gpu = std::make_unique<GpuWatch>();
  watched.out = output_of(command);
  return watched;
}

// The work is the last that a run does.
Run run_of(double seconds, const Watched& watched) {
  return {seconds, watched.gpu ? watched.gpu->mean_percent(seconds) : 0};
}

/// By the seconds that `strata extract` names for its work.
Run run_strata(const Arguments& given, const fs::path& work) {
  fs::remove_all(work / "store");
  const Watched watched = run_watched(given, fmt::format("{} --quiet extract {} --threads {}", given.program,
                                                         (work / "study.json").string(), given.threads));
  const std::size_t at = watched.out.rfind(" in ");
  if (at == std::string::npos) throw DataError("strata extract says nothing of its time: " + watched.out);
  return run_of(std::strtod(watched.out.c_str() + at + 4, nullptr), watched);
}

/// By the wall time of its one run, model loading and warm-up left out.
Run run_peer(const Arguments& given, const fs::path& work, const PeerRun& way) {
  const std::string amp = given.compute == "float32" ? "" : " --amp " + given.compute;
  const Watched watched = run_watched(
      given,
      fmt::format(
          "{} {} --wavs {} --threads {} --procs {} --batch {} --reps 1 --dtype {} --device {}{} --no-machine --out {}",
          given.python, given.peer, (work / "audio" / "files.txt").string(), given.threads, way.procs, way.batch,
          given.dtype, given.device, amp, (work / "peer").string()));
  return run_of(last_line(watched.out).at("runs").at(0).at("wall").get<double>(), watched);
}

/// As one process, with batches of one and of more, and on a CPU as many processes as there are threads.
std::vector<PeerRun> peer_configurations(const Arguments& given) {
  if (given.peer.empty()) return {};
  std::vector<PeerRun> ways = {{1, 1}};
  if (given.batch > 1) ways.push_back({1, given.batch});
  if (given.threads > 1 && !given.on_gpu()) ways.push_back({given.threads, 1});
  return ways;
}

std::string busy_text(const Arguments& given, const Run& run) {
  return given.on_gpu() ? fmt::format(" (GPU busy {:.0f} %)", run.gpu_percent) : "";
}

void prepare(const Arguments& given, const fs::path& work) {
  if (!fs::exists(work / "model" / "config.json")) write_untrained_hubert(work / "model", {});
  const Json study = {
      {"name", "bench"},
      {"output", "output"},
      {"store", "store"},
      {"device", given.device},
      {"corpora", {{"noise", "audio"}}},
      {"upstreams", {{"hubert", {{"model", "model"}, {"dtype", given.dtype}, {"compute", given.compute}}}}},
      {"tasks", Json::object()},
      {"sweep", Json::array()}};
  write_file_atomically(work / "study.json", study.dump(1));
}

void bench(const Arguments& given) {
  const fs::path work = fs::absolute(given.work);
  prepare(given, work);
  const std::vector<std::int64_t> lengths = write_audio(given, work / "audio");
  double audio = 0, flops = 0;
  for (const std::int64_t samples : lengths) {
    audio += static_cast<double>(samples) / 16000;
    flops += flops_of(samples);
  }
  fmt::print(
      "{} utterances, {:.1f} s of audio, {:.2f} GFLOP a second of it; {} threads, computed in {}, features in {}\n",
      lengths.size(), audio, flops / audio / 1e9, given.threads, given.compute, given.dtype);
  double peak = 0;
  Run ours, theirs;
  const auto keep_best = [](Run& best, const Run& run) {
    if (run.seconds < best.seconds) best = run;
  };
  for (int round = 0; round < given.rounds; ++round) {
    peak = std::max(peak, gemm_peak(given.threads, c10::Device(given.device)));
    const Run strata = run_strata(given, work);
    fmt::print("round {}: strata {:.2f} audio s/s{}", round + 1, audio / strata.seconds, busy_text(given, strata));
    keep_best(ours, strata);
    for (const PeerRun& way : peer_configurations(given)) {
      const Run peer = run_peer(given, work, way);
      fmt::print(", peer in {} processes of {} threads, batches of {}, {:.2f}{}", way.procs, given.threads / way.procs,
                 way.batch, audio / peer.seconds, busy_text(given, peer));
      keep_best(theirs, peer);
    }
    peak = std::max(peak, gemm_peak(given.threads, c10::Device(given.device)));
    fmt::print("; peak of float32 matrix products {:.1f} GFLOP/s\n", peak);
    std::fflush(stdout);
  }
  const auto fraction = [&](double seconds) { return flops / seconds / 1e9 / peak; };
  Json result = {{"name", "extract"},
                 {"threads", given.threads},
                 {"dtype", given.dtype},
                 {"compute", given.compute},
                 {"device", given.device},
                 {"audio_s", audio},
                 {"gemm_fp32_gflops", peak},
                 {"audio_per_s", audio / ours.seconds},
                 {"gflops", flops / ours.seconds / 1e9},
                 {"fraction_of_peak", fraction(ours.seconds)}};
  fmt::print("strata: {:.2f} audio s/s, {:.0f} GFLOP/s, {:.0f} % of the float32 peak{}\n", audio / ours.seconds,
             flops / ours.seconds / 1e9, 100 * fraction(ours.seconds), busy_text(given, ours));
  if (given.on_gpu()) result["gpu_busy_percent"] = ours.gpu_percent;
  if (!given.peer.empty()) {
    const double ratio = theirs.seconds / ours.seconds;
    fmt::print("peer at its best: {:.2f} audio s/s, {:.0f} % of that peak{}; strata is {:.2f} times as fast\n",
               audio / theirs.seconds, 100 * fraction(theirs.seconds), busy_text(given, theirs), ratio);
    result.update({{"peer_audio_per_s", audio / theirs.seconds},
                   {"peer_fraction_of_peak", fraction(theirs.seconds)},
                   {"ratio", ratio}});
    if (given.on_gpu()) result["peer_gpu_busy_percent"] = theirs.gpu_percent;
  }
  fs::remove_all(work / "store");
  fs::remove_all(work / "peer");
  fmt::print("{}\n", result.dump());
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::Arguments given;
  CLI::App app(
      "Speed of strata extract on noise, with a HuBERT base of random weights; alternating with a peer (as one "
      "process, with and without batches, and as one process a thread), best of the rounds. On a GPU nvidia-smi is "
      "asked "
      "how busy it is.");
  app.add_option(
      "--peer", given.peer,
      "Python script of a peer that takes --wavs, --threads, --procs, --batch, --reps, --dtype, --amp, --out, "
      "as Hugging Face's extraction");
  app.add_option("--python", given.python, "the Python that runs it");
  app.add_option("--work", given.work, "folder for audio, model and features");
  app.add_option("--dtype", given.dtype, "of the stored features")->check(CLI::IsMember({"float32", "float16"}));
  app.add_option("--compute", given.compute, "arithmetic of the large products; the peer's --amp")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}));
  app.add_option("--batch", given.batch, "utterances of the peer's batches; 1: it is run without");
  app.add_option("--device", given.device, "of both; its peak is measured")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--seconds", given.seconds, "of audio");
  app.add_option("--mean", given.mean, "seconds of an utterance");
  app.add_option("--threads", given.threads, "of both");
  app.add_option("--rounds", given.rounds, "alternating runs of each");
  app.footer("Example:\n  tools/bench extract --peer extract_hf.py --python venv/bin/python");
  CLI11_PARSE(app, argc, argv);
  try {
    strata::bench(given);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench extract: error: {}\n", e.what());
    return 1;
  }
  return 0;
}

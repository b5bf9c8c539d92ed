// tools/bench extract: audio seconds a second of `strata extract`, beside Hugging Face's on the same files.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
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
  std::string peer, python = "python3", work = "runs/bench_extract", dtype = "float32", device = "cpu";
  double seconds = 120, mean = 12;
  int threads = 2, rounds = 3;
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

/// The seconds that `strata extract` names for its work, without start-up.
double run_strata(const Arguments& given, const fs::path& work) {
  fs::remove_all(work / "store");
  const std::string out = output_of(
      fmt::format("{} --quiet extract {} --threads {}", given.program, (work / "study.json").string(), given.threads));
  const std::size_t at = out.rfind(" in ");
  if (at == std::string::npos) throw DataError("strata extract says nothing of its time: " + out);
  return std::strtod(out.c_str() + at + 4, nullptr);
}

/// The wall time of the peer's one run, model loading and warm-up left out.
///   procs  processes that share the files and the threads
double run_peer(const Arguments& given, const fs::path& work, int procs) {
  const Json result = last_line(output_of(
      fmt::format("{} {} --wavs {} --threads {} --procs {} --reps 1 --dtype {} --device {} --no-machine --out {}",
                  given.python, given.peer, (work / "audio" / "files.txt").string(), given.threads, procs, given.dtype,
                  given.device, (work / "peer").string())));
  return result.at("runs").at(0).at("wall").get<double>();
}

/// In how many processes the peer is run: as one, and as many as there are threads.
std::vector<int> peer_configurations(const Arguments& given) {
  if (given.peer.empty()) return {};
  if (given.threads == 1 || given.device != "cpu") return {1};
  return {1, given.threads};
}

void prepare(const Arguments& given, const fs::path& work) {
  if (!fs::exists(work / "model" / "config.json")) write_untrained_hubert(work / "model", {});
  const Json study = {{"name", "bench"},
                      {"output", "output"},
                      {"store", "store"},
                      {"device", given.device},
                      {"corpora", {{"noise", "audio"}}},
                      {"upstreams", {{"hubert", {{"model", "model"}, {"dtype", given.dtype}}}}},
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
  fmt::print("{} utterances, {:.1f} s of audio, {:.2f} GFLOP a second of it; {} threads, features in {}\n",
             lengths.size(), audio, flops / audio / 1e9, given.threads, given.dtype);
  double peak = 0, ours = 1e30, theirs = 1e30;
  for (int round = 0; round < given.rounds; ++round) {
    peak = std::max(peak, gemm_peak(given.threads, c10::Device(given.device)));
    const double strata = run_strata(given, work);
    fmt::print("round {}: strata {:.2f} audio s/s", round + 1, audio / strata);
    ours = std::min(ours, strata);
    for (const int procs : peer_configurations(given)) {
      const double peer = run_peer(given, work, procs);
      fmt::print(", peer in {} processes of {} threads {:.2f}", procs, given.threads / procs, audio / peer);
      theirs = std::min(theirs, peer);
    }
    peak = std::max(peak, gemm_peak(given.threads, c10::Device(given.device)));
    fmt::print("; peak of matrix products {:.1f} GFLOP/s\n", peak);
    std::fflush(stdout);
  }
  const auto fraction = [&](double seconds) { return flops / seconds / 1e9 / peak; };
  Json result = {{"name", "extract"},
                 {"threads", given.threads},
                 {"dtype", given.dtype},
                 {"device", given.device},
                 {"audio_s", audio},
                 {"gemm_fp32_gflops", peak},
                 {"audio_per_s", audio / ours},
                 {"gflops", flops / ours / 1e9},
                 {"fraction_of_peak", fraction(ours)}};
  fmt::print("strata: {:.2f} audio s/s, {:.0f} GFLOP/s, {:.0f} % of peak\n", audio / ours, flops / ours / 1e9,
             100 * fraction(ours));
  if (!given.peer.empty()) {
    fmt::print("peer at its best: {:.2f} audio s/s, {:.0f} % of peak; strata is {:.2f} times as fast\n", audio / theirs,
               100 * fraction(theirs), theirs / ours);
    result.update(
        {{"peer_audio_per_s", audio / theirs}, {"peer_fraction_of_peak", fraction(theirs)}, {"ratio", theirs / ours}});
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
      "process, and as one a thread), best of the rounds.");
  app.add_option("--peer", given.peer,
                 "Python script of a peer that takes --wavs, --threads, --procs, --reps, --dtype, --out, as Hugging "
                 "Face's extraction");
  app.add_option("--python", given.python, "the Python that runs it");
  app.add_option("--work", given.work, "folder for audio, model and features");
  app.add_option("--dtype", given.dtype, "of the stored features")->check(CLI::IsMember({"float32", "float16"}));
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

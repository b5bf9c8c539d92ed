#include "tests/program/program.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <numbers>

#include "core/base/file.h"
#include "core/base/random.h"
#include "data/audio/audio.h"

namespace strata {
namespace {

fs::path program() { return fs::absolute("tools/strata_main"); }

/// A voice: three harmonics of its pitch and a little noise, 0.3 to 1.1 s.
std::vector<float> tone(int speaker, int index) {
  RandomStream random({static_cast<std::uint64_t>(speaker), static_cast<std::uint64_t>(index)});
  const double pitch = 110.0 * std::pow(1.6, speaker) * (1.0 + 0.05 * random.uniform());
  std::vector<float> samples(static_cast<std::size_t>(16000 * (0.3 + 0.8 * random.uniform())));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / 16000.0;
    double value = 0.02 * random.normal();
    for (int h = 1; h <= 3; ++h) value += 0.2 / h * std::sin(2 * std::numbers::pi * pitch * h * t);
    samples[i] = static_cast<float>(value);
  }
  return samples;
}

/// What it says; that of u008, which is in train, is longer than any utterance has frames.
std::string text_of(int utterance) {
  std::string text = fmt::format("tone {}", static_cast<char>('a' + utterance % 4));
  for (int i = 0; utterance == 8 && i < 50; ++i) text += " more";
  return text;
}

void write_corpus(const fs::path& folder, int utterances) {
  fs::create_directories(folder / "audio");
  std::string manifest;
  std::map<std::string, std::string> splits;
  for (int u = 0; u < utterances; ++u) {
    const int speaker = u % 4;
    const std::string id = fmt::format("u{:03}", u);
    const std::vector<float> samples = tone(speaker, u);
    write_wav(folder / "audio" / (id + ".wav"), samples);
    manifest += Json{{"id", id}, {"audio", "audio/" + id + ".wav"}, {"duration", samples.size() / 16000.0}, {"speaker", fmt::format("s{}", speaker)}, {"text", text_of(u)}}.dump() + "\n";
    splits[u / 4 % 4 == 0 ? "dev" : u / 4 % 4 == 1 ? "test" : "train"] += id + "\n";
  }
  write_file_atomically(folder / "utterances.jsonl", manifest);
  for (const auto& [name, ids] : splits) {
    for (const char* task : {"sid.", "asr."}) write_file_atomically(folder / (task + name + ".txt"), ids);
  }
}

Json default_study() {
  return Json::parse(R"({
    "name": "tones", "output": "output", "store": "features",
    "corpora": { "tones": "manifests" },
    "upstreams": { "fbank": { "model": "fbank" }, "untrained": { "model": "model", "dtype": "float16" } },
    "tasks": { "sid": { "type": "sid", "corpus": "tones" } },
    "sweep": [ { "task": "sid", "upstreams": [["fbank"], ["untrained"]],
                 "interface": [{ "type": "single_layer" }, { "type": "weighted_sum" }],
                 "optimizer": { "type": "adam", "learning_rate": [1e-4, 1e-3] },
                 "steps": 40, "batch_size": 8, "evaluate_every": 10 } ] })");
}

std::string command_line(const std::string& arguments, int ranks) {
  std::string line;
  if (ranks > 0) {
    // Sandboxes share /tmp and process numbers: without folders of their own two mpirun of two tests meet.
    line = "env OMPI_MCA_orte_tmpdir_base=$PWD OMPI_MCA_btl_vader_backing_directory=$PWD mpirun --allow-run-as-root --oversubscribe --bind-to none --mca orte_base_help_aggregate 0 -np " + std::to_string(ranks) + " ";
  }
  return line + program().string() + " " + arguments;
}

RunResult finish(const fs::path& folder, int status) {
  RunResult result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(folder / "stdout");
  result.err = read_file(folder / "stderr");
  return result;
}

}  // namespace

int RunResult::times_in_err(const std::string& text) const {
  int times = 0;
  for (std::size_t at = err.find(text); at != std::string::npos; at = err.find(text, at + 1)) ++times;
  return times;
}

Workplace::Workplace(int utterances) {
  std::string name = testing::TempDir() + "/strata_XXXXXX";
  folder_ = ::mkdtemp(name.data());
  write_corpus(folder_ / "manifests", utterances);
  write_study(default_study());
  const RunResult made = run("untrained model layers=2 hidden_size=32 heads=2 intermediate_size=64 conv_dim=16");
  if (made.code != 0) ADD_FAILURE() << made.err;
}

Workplace::~Workplace() { fs::remove_all(folder_); }

RunResult Workplace::run(const std::string& arguments, int ranks, const std::string& before, const std::string& streams) const {
  write("stdout", "");
  write("stderr", "");
  write("script", fmt::format("cd {}\n{}\ntimeout -k 5 300 {} {}\n", folder_.string(), before, command_line(arguments, ranks), streams));
  return finish(folder_, std::system(("bash " + (folder_ / "script").string()).c_str()));
}

RunResult Workplace::run_until(const std::string& arguments, int ranks, const std::string& condition, const std::string& action) const {
  // Job control (set -m), or the shell would have the program ignore SIGINT; a stop does not end the wait (-f).
  const std::string script = fmt::format(R"(cd {}
program={}
set -m
{} >stdout 2>stderr </dev/null &
run=$!
(sleep 120; kill -9 $run) &
watch=$!
rank() {{ pgrep -P $run | sort -n | sed -n $(($1 + 1))p; }}
until {{ {}; }} || ! kill -0 $run; do sleep 0.05; done
{}
wait -f $run
code=$?
kill -- -$watch
exit $code
)",
                                         folder_.string(), program().string(), command_line(arguments, ranks), condition, action);
  write("script", script);
  return finish(folder_, std::system(("bash " + (folder_ / "script").string() + " >/dev/null 2>&1").c_str()));
}

Json Workplace::read_study() const { return Json::parse(read("study.json")); }
void Workplace::write_study(const Json& study) const { write("study.json", study.dump(1)); }
void Workplace::write(const std::string& name, const std::string& content) const { write_file_atomically(folder_ / name, content); }
std::string Workplace::read(const std::string& name) const { return read_file(folder_ / name); }

std::map<std::string, std::string> Workplace::files(const std::string& name, const std::string& ending) const {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / name)) {
    if (entry.is_regular_file() && entry.path().string().ends_with(ending)) all[fs::relative(entry.path(), folder_ / name).string()] = read_file(entry.path());
  }
  return all;
}

std::map<std::string, Json> Workplace::done_trials(const std::string& output) const {
  std::map<std::string, Json> done;
  const std::string journal = read(output + "/journal.jsonl");
  for (std::size_t start = 0; start < journal.size();) {
    const std::size_t end = journal.find('\n', start);
    const Json event = Json::parse(journal.substr(start, end - start));
    if (event.at("event") == "trial_done") done[event.at("trial")] = event;
    start = end + 1;
  }
  return done;
}

}  // namespace strata

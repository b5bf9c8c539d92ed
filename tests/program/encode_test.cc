#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "core/tensor/safetensors.h"
#include "data/audio/audio.h"
#include "tests/program/program.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const fs::path kGolden = "tests/golden/upstreams";

double peak(const at::Tensor& x) { return x.abs().max().item<double>(); }

std::vector<float> samples_of(const at::Tensor& wave) {
  const auto* values = wave.const_data_ptr<float>();
  return {values, values + wave.numel()};
}

// Every family, from a file of audio to a file of features, by the tolerance of the fixtures.
TEST(Encode, WritesTheStatesOfTheReference) {
  const Workplace place(4);
  int models = 0;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename();
    write_wav(place.folder() / "w1.wav", samples_of(read_safetensors(entry.path() / "inputs.safetensors").at("w1")));
    const NamedTensors expected = read_safetensors(entry.path() / "expected.safetensors");
    std::map<std::string, at::Tensor> wanted;  // by tap
    std::string taps;
    for (const auto& [key, value] : expected) {
      if (!key.starts_with("w1.") || !key.ends_with("_f64")) continue;
      const std::string tap = key.substr(3, key.size() - 7);
      wanted[tap] = value;
      taps += (taps.empty() ? "" : ",") + tap;
    }
    const RunResult run = place.run(
        fmt::format("encode {} w1.wav --output w1.safetensors --taps {}", fs::absolute(entry.path()).string(), taps));
    ASSERT_EQ(run.code, 0) << name << ": " << run.err;
    EXPECT_THAT(run.err, Not(HasSubstr("windows")));
    const NamedTensors written = read_safetensors(place.folder() / "w1.safetensors");
    EXPECT_EQ(written.size(), wanted.size()) << name;
    for (const auto& [tap, want] : wanted) {
      const at::Tensor& got = written.at("w1/" + tap);
      ASSERT_EQ(got.sizes(), want.sizes()) << name << " " << tap;
      EXPECT_LE(peak(got.to(at::kDouble) - want), 5e-6 * peak(want)) << name << " " << tap;
    }
    ++models;
  }
  EXPECT_GE(models, 11);
}

TEST(Encode, SaysThatALongFileIsComputedInWindows) {
  const Workplace place(4);
  const std::string command = "encode model manifests/audio/u000.wav --output a.safetensors";
  EXPECT_THAT(place.run(command).err, Not(HasSubstr("in windows")));
  const RunResult run = place.run(command + " --set window_seconds=0.2 --set context_seconds=0.05");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("encode: manifests/audio/u000.wav: its "));
  EXPECT_THAT(run.err, HasSubstr(" s are computed in windows"));
}

// Without a norm this tap is the audio itself, whose memory is free when the file is written.
TEST(Encode, WritesTheWaveAsItIs) {
  const Workplace place(4);
  const RunResult run =
      place.run("encode model manifests/audio/u000.wav --output a.safetensors --taps input --set wave_norm=none");
  ASSERT_EQ(run.code, 0) << run.err;
  const at::Tensor got = read_safetensors(place.folder() / "a.safetensors").at("u000/input");
  EXPECT_EQ(samples_of(got.contiguous()), read_audio(place.folder() / "manifests/audio/u000.wav"));
}

}  // namespace
}  // namespace strata

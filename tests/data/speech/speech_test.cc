#include "data/speech/speech.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/audio/audio.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Makes everything half as loud.
class Half : public Effect {
 public:
  std::vector<float> apply(std::vector<float> samples) const override {
    for (float& x : samples) x *= 0.5f;
    return samples;
  }
};

/// Six utterances, u0 .. u5, of 0.1 to 0.6 s and sample values n / 64 that 16 bits hold exactly; u3 is no audio.
Corpus small_corpus(const fs::path& folder) {
  fs::create_directories(folder);
  std::string manifest;
  for (int u = 0; u < 6; ++u) {
    const std::string name = fmt::format("u{}", u);
    std::vector<float> samples(static_cast<std::size_t>(1600 * (u + 1)));
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i] = static_cast<float>((i + static_cast<std::size_t>(u)) % 64) / 64.0f;
    write_wav(folder / (name + ".wav"), samples);
    if (u == 3) write_file_atomically(folder / (name + ".wav"), "no audio");
    manifest += Json{{"id", name}, {"audio", name + ".wav"}, {"duration", 0.1 * (u + 1)}}.dump() + "\n";
  }
  write_file_atomically(folder / "utterances.jsonl", manifest);
  return Corpus::read(folder);
}

struct Fixture {
  explicit Fixture(const fs::path& folder) : corpus(small_corpus(folder / "corpus")) {}
  SpeechRequest request(std::vector<std::size_t> utterances, const Effects& effects, Json treatment = Json::array()) {
    return {"tones", &corpus, &effects, std::move(treatment), std::move(utterances)};
  }
  Corpus corpus;
  Effects none;
};

void write_all(const SpeechPlan& plan, int world_size = 1, int threads = 1) {
  const std::vector<std::size_t> missing = plan.missing();
  for (int rank = 0; rank < world_size; ++rank)
    plan.write(
        missing, rank, world_size, threads, [] { return false; }, [](std::int64_t) {});
}

std::map<std::string, std::string> bytes_in(const fs::path& folder) {
  std::map<std::string, std::string> bytes;
  for (const std::string& name : names_in(folder)) bytes[name] = read_file(folder / name);
  return bytes;
}

TEST(Speech, DecodesOnceAndNamesWhatFails) {
  const fs::path folder = fresh_folder();
  Fixture f(folder);
  const SpeechPlan plan(folder / "speech", {f.request({5, 0, 3, 1}, f.none)}, 0.65);
  EXPECT_EQ(plan.shards(), 2U) << "0.6 + 0.1 s fill the first";
  write_all(plan);
  EXPECT_TRUE(plan.missing().empty());
  const Speech speech(plan);
  ASSERT_EQ(speech.size(), 3U);
  EXPECT_EQ(speech.key(0), "tones/u5");
  EXPECT_EQ(speech.key(1), "tones/u0");
  EXPECT_EQ(speech.key(2), "tones/u1");
  EXPECT_EQ(speech.samples(1), 1600);
  EXPECT_NEAR(speech.seconds(), 0.9, 1e-9);
  ASSERT_EQ(speech.failed().size(), 1U);
  EXPECT_EQ(speech.failed()[0].id, "tones/u3");
  const at::Tensor wave = speech.wave(2, 10, 3);
  ASSERT_EQ(wave.numel(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wave.const_data_ptr<float>()[i], static_cast<float>(11 + i) / 64.0f);
}

TEST(Speech, IsTheSameAtAnyNumberOfRanksAndThreads) {
  const fs::path folder = fresh_folder();
  Fixture f(folder);
  const auto plan_in = [&](const char* name) {
    return SpeechPlan(folder / name, {f.request({0, 1, 2, 3, 4, 5}, f.none)}, 0.2);
  };
  const SpeechPlan one = plan_in("one"), three = plan_in("three");
  ASSERT_GT(one.shards(), 3U);
  write_all(one);
  write_all(three, 3, 2);
  EXPECT_TRUE(bytes_in(one.folder()) == bytes_in(three.folder()));
}

TEST(Speech, WritesOnlyWhatIsMissing) {
  const fs::path folder = fresh_folder();
  Fixture f(folder);
  const SpeechPlan plan(folder / "speech", {f.request({0, 1, 2, 4, 5}, f.none)}, 0.2);
  write_all(plan);
  const auto whole = bytes_in(plan.folder());
  fs::remove(plan.shard_path(1));
  EXPECT_THAT(plan.missing(), ElementsAre(1));
  EXPECT_THROW(Speech{plan}, DataError);
  std::int64_t utterances = 0;
  plan.write(
      plan.missing(), 0, 1, 1, [] { return true; }, [&](std::int64_t n) { utterances += n; });
  EXPECT_EQ(utterances, 0) << "told to stop";
  plan.write(
      plan.missing(), 0, 1, 1, [] { return false; }, [&](std::int64_t n) { utterances += n; });
  EXPECT_EQ(utterances, static_cast<std::int64_t>(plan.size(1)));
  EXPECT_TRUE(bytes_in(plan.folder()) == whole);
}

TEST(Speech, WhatChangesTheSamplesChangesTheFolder) {
  const fs::path folder = fresh_folder();
  Fixture f(folder);
  Effects half;
  half.push_back(std::make_unique<Half>());
  const SpeechPlan plain(folder, {f.request({0, 1}, f.none)}, 10);
  const SpeechPlan fewer(folder, {f.request({0}, f.none)}, 10);
  const SpeechPlan treated(folder, {f.request({0, 1}, half, {{{"type", "half"}}})}, 10);
  EXPECT_NE(plain.folder(), fewer.folder());
  EXPECT_NE(plain.folder(), treated.folder());
  EXPECT_EQ(plain.folder(), SpeechPlan(folder, {f.request({0, 1}, f.none)}, 10).folder());
  write_all(plain);
  write_all(treated);
  EXPECT_EQ(Speech(treated).wave(0).const_data_ptr<float>()[40],
            0.5f * Speech(plain).wave(0).const_data_ptr<float>()[40]);
}

TEST(Speech, AFileInTheWayIsAnError) {
  const fs::path folder = fresh_folder();
  Fixture f(folder);
  write_file_atomically(folder / "speech", "a file where the folder belongs");
  const SpeechPlan plan(folder / "speech", {f.request({0}, f.none)}, 10);
  EXPECT_THROW(write_all(plan), Error);
}

}  // namespace
}  // namespace strata

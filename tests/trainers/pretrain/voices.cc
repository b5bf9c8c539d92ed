#include "tests/trainers/pretrain/voices.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "core/base/file.h"
#include "core/base/random.h"
#include "data/audio/audio.h"

namespace strata {
namespace {

std::vector<float> melody(int utterance) {
  RandomStream random({static_cast<std::uint64_t>(utterance), key_of("melody")});
  std::vector<float> samples(static_cast<std::size_t>(16000 * (0.5 + random.uniform())));
  double phase = 0, pitch = 0;
  std::size_t left = 0;
  for (float& sample : samples) {
    if (left == 0) {
      left = static_cast<std::size_t>(16000 * (0.15 + 0.2 * random.uniform()));
      pitch = 120.0 * std::pow(2.0, static_cast<double>(random.below(6)) / 2);
    }
    left -= 1;
    phase += 2 * std::numbers::pi * pitch / 16000;
    sample = static_cast<float>(0.3 * std::sin(phase) + 0.15 * std::sin(2 * phase) + 0.1 * std::sin(5 * phase) +
                                0.01 * random.normal());
  }
  return samples;
}

}  // namespace

Voices::Voices(const std::filesystem::path& folder, int utterances, const std::function<void()>& barrier, bool writes) {
  if (writes) {
    fs::create_directories(folder / "corpus");
    std::string manifest;
    for (int u = 0; u < utterances; ++u) {
      const std::string id = fmt::format("m{:03}", u);
      write_wav(folder / "corpus" / (id + ".wav"), melody(u));
      manifest += Json{{"id", id}, {"audio", id + ".wav"}}.dump() + "\n";
    }
    write_file_atomically(folder / "corpus/utterances.jsonl", manifest);
  }
  barrier();
  corpus_ = std::make_unique<Corpus>(Corpus::read(folder / "corpus"));
  SpeechRequest request{"melodies", corpus_.get(), &none_, Json::array(), {}};
  for (std::size_t u = 0; u < corpus_->utterances().size(); ++u) request.utterances.push_back(u);
  plan_ = std::make_unique<SpeechPlan>(folder / "speech", std::vector<SpeechRequest>{request}, 600);
  if (writes)
    plan_->write(
        plan_->missing(), 0, 1, 1, [] { return false; }, [](std::int64_t) {});
  barrier();
  speech_ = std::make_unique<Speech>(*plan_);
}

}  // namespace strata

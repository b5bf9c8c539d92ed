#include "data/audio/audio.h"

#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/base/error.h"
#include "data/audio/resample.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr double kOvershootSeconds = 0.5;
constexpr std::int64_t kBlockSamples = 1 << 16;

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using SoundFile = std::unique_ptr<SNDFILE, CloseFile>;

SoundFile open_for_reading(const fs::path& path, SF_INFO& info) {
  info = {};
  if (path.extension() == ".gsm") {  // raw: nothing in the file says what it is
    info.format = SF_FORMAT_RAW | SF_FORMAT_GSM610;
    info.samplerate = 8000;
    info.channels = 1;
  }
  SoundFile file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) throw DataError(fmt::format("{}: cannot be read as audio: {}", path.string(), sf_strerror(nullptr)));
  if (info.samplerate <= 0 || info.channels <= 0 || info.frames < 0) {
    throw DataError(fmt::format("{}: a header with {} Hz, {} channels, {} samples", path.string(), info.samplerate,
                                info.channels, info.frames));
  }
  return file;
}

struct SampleRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

SampleRange to_samples(const AudioRange& range, const SF_INFO& info, const fs::path& path) {
  const double rate = info.samplerate;
  const std::int64_t first = std::llround(range.offset * rate);
  const std::int64_t count = range.duration ? std::llround(*range.duration * rate) : info.frames - first;
  const bool inside = first >= 0 && first + count <= info.frames + std::llround(kOvershootSeconds * rate);
  const std::int64_t kept = std::min(count, info.frames - first);
  if (!inside || kept <= 0) {
    const std::string what = range.duration ? fmt::format("{} s from {} s on", *range.duration, range.offset)
                                            : fmt::format("all from {} s on", range.offset);
    throw DataError(fmt::format("{}: asked for {}, but the file has {} s", path.string(), what,
                                static_cast<double>(info.frames) / rate));
  }
  return {first, kept};
}

/// Reads `range` block by block, so that an hour of stereo at 48 kHz is not held twice.
std::vector<float> read_mono(SNDFILE* file, const SF_INFO& info, SampleRange range, const fs::path& path) {
  if (range.first > 0 && sf_seek(file, range.first, SEEK_SET) != range.first) {
    throw DataError(fmt::format("{}: cannot seek to sample {}: {}", path.string(), range.first, sf_strerror(file)));
  }
  std::vector<float> mono;
  mono.reserve(static_cast<std::size_t>(range.count));
  std::vector<float> block(static_cast<std::size_t>(std::min(range.count, kBlockSamples) * info.channels));
  const float scale = 1.0f / static_cast<float>(info.channels);
  while (static_cast<std::int64_t>(mono.size()) < range.count) {
    const std::int64_t wanted = std::min(range.count - static_cast<std::int64_t>(mono.size()), kBlockSamples);
    const std::int64_t got = sf_readf_float(file, block.data(), wanted);
    if (got <= 0) {
      throw DataError(fmt::format("{}: broken after {} of {} samples: {}", path.string(),
                                  range.first + static_cast<std::int64_t>(mono.size()), info.frames,
                                  sf_strerror(file)));
    }
    for (std::int64_t i = 0; i < got; ++i) {
      float sum = 0;
      for (int c = 0; c < info.channels; ++c) sum += block[static_cast<std::size_t>(i * info.channels + c)];
      mono.push_back(sum * scale);
    }
  }
  return mono;
}

}  // namespace

AudioInfo audio_info(const fs::path& path) {
  SF_INFO info;
  open_for_reading(path, info);
  return {info.samplerate, info.channels, info.frames};
}

std::vector<float> read_audio(const fs::path& path, const AudioRange& range) {
  SF_INFO info;
  const SoundFile file = open_for_reading(path, info);
  std::vector<float> samples = read_mono(file.get(), info, to_samples(range, info, path), path);
  const auto bad = std::find_if_not(samples.begin(), samples.end(), [](float x) { return std::isfinite(x); });
  if (bad != samples.end()) {
    throw DataError(fmt::format("{}: sample {} of the range is {}", path.string(), bad - samples.begin(), *bad));
  }
  samples = resample(std::move(samples), info.samplerate, kSampleRateHz);
  if (samples.empty()) throw DataError(fmt::format("{}: shorter than one sample at 16 kHz", path.string()));
  return samples;
}

void write_wav(const fs::path& path, const std::vector<float>& samples, std::int64_t rate_hz) {
  SF_INFO info = {};
  info.samplerate = static_cast<int>(rate_hz);
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  const SoundFile file(sf_open(path.c_str(), SFM_WRITE, &info));
  if (!file) throw DataError(fmt::format("{}: cannot be written: {}", path.string(), sf_strerror(nullptr)));
  const auto count = static_cast<sf_count_t>(samples.size());
  if (sf_writef_float(file.get(), samples.data(), count) != count) {
    throw DataError(fmt::format("{}: cannot be written: {}", path.string(), sf_strerror(file.get())));
  }
}

}  // namespace strata

#include "data/audio/audio.h"

#include <gmock/gmock.h>
#include <sndfile.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numbers>
#include <string>

#include "core/base/error.h"
#include "core/base/file.h"
#include "data/audio/resample.h"

namespace strata {
namespace {

using testing::HasSubstr;

fs::path temporary(const std::string& name) { return fs::path(testing::TempDir()) / name; }

/// amplitude * sin(2 pi f t), `channels` copies of it, the c-th scaled by c + 1.
std::vector<float> sine(double hz, double amplitude, int rate, double seconds, int channels = 1) {
  std::vector<float> samples;
  for (int i = 0; i < std::lround(seconds * rate); ++i) {
    const double x = amplitude * std::sin(2 * std::numbers::pi * hz * i / rate);
    for (int c = 0; c < channels; ++c) samples.push_back(static_cast<float>(x * (c + 1)));
  }
  return samples;
}

fs::path write_sound(const std::string& name, const std::vector<float>& samples, int rate, int channels, int format) {
  const fs::path path = temporary(name);
  SF_INFO info = {};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  EXPECT_NE(file, nullptr) << sf_strerror(nullptr);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()) / channels);
  sf_close(file);
  return path;
}

/// Amplitude of the component at `hz`, by correlation with sine and cosine over the middle half of the samples
/// (`hz` must have whole periods there); `phase_sine` gets the sine's part.
double amplitude_at(const std::vector<float>& x, double hz, double rate, double* phase_sine = nullptr) {
  const std::size_t first = x.size() / 4, count = x.size() / 2;
  double s = 0, c = 0;
  for (std::size_t i = first; i < first + count; ++i) {
    s += x[i] * std::sin(2 * std::numbers::pi * hz * i / rate);
    c += x[i] * std::cos(2 * std::numbers::pi * hz * i / rate);
  }
  s *= 2.0 / count, c *= 2.0 / count;
  if (phase_sine != nullptr) *phase_sine = s;
  return std::hypot(s, c);
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const DataError& e) {
    return e.what();
  }
  return "no DataError";
}

class SineAtRate : public testing::TestWithParam<int> {};

TEST_P(SineAtRate, ComesOutAt16kHzWithLengthPitchAmplitudeAndPhase) {
  const int rate = GetParam();
  const fs::path path = write_sound("sine_" + std::to_string(rate) + ".wav", sine(1000, 0.5, rate, 2.0), rate, 1,
                                    SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  const AudioInfo info = audio_info(path);
  EXPECT_EQ(info.rate_hz, rate);
  EXPECT_EQ(info.channels, 1);
  EXPECT_DOUBLE_EQ(info.duration_seconds(), 2.0);

  const std::vector<float> samples = read_audio(path);
  ASSERT_EQ(samples.size(), 32000u);
  double in_phase = 0;
  EXPECT_NEAR(amplitude_at(samples, 1000, 16000, &in_phase), 0.5, 1e-4);
  EXPECT_NEAR(in_phase, 0.5, 1e-4);  // no delay: the cosine's part is nothing
  EXPECT_NEAR(amplitude_at(samples, 3000, 16000), 0.0, 1e-4);
  EXPECT_EQ(samples, read_audio(path));
}
INSTANTIATE_TEST_SUITE_P(Rates, SineAtRate, testing::Values(8000, 16000, 22050, 44100, 48000));

TEST(Audio, ReadsTheFormatsOfOurCorpora) {
  struct Format {
    std::string name;
    int format;
    double tolerance;
  };
  for (const Format& f : {Format{"f.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1e-4},
                          Format{"f.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 2e-2},
                          Format{"p.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1e-4}}) {
    const fs::path path = write_sound(f.name, sine(440, 0.25, 16000, 1.0), 16000, 1, f.format);
    const std::vector<float> samples = read_audio(path);
    EXPECT_EQ(samples.size(), 16000u) << f.name;
    EXPECT_NEAR(amplitude_at(samples, 440, 16000), 0.25, f.tolerance) << f.name;
  }
}

TEST(Audio, ReadsRawGsm) {
  // 50 blocks of 160 samples: one second at 8 kHz.
  const fs::path path =
      write_sound("prompt.gsm", sine(440, 0.25, 8000, 1.0), 8000, 1, SF_FORMAT_RAW | SF_FORMAT_GSM610);
  EXPECT_EQ(fs::file_size(path), 50u * 33);
  EXPECT_EQ(audio_info(path).samples, 8000);
  const std::vector<float> samples = read_audio(path);
  EXPECT_EQ(samples.size(), 16000u);
  EXPECT_NEAR(amplitude_at(samples, 440, 16000), 0.25, 0.05);
}

TEST(Audio, MixesChannelsByTheirMean) {
  const fs::path path =
      write_sound("stereo.wav", sine(1000, 0.2, 16000, 1.0, 2), 16000, 2, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_EQ(audio_info(path).channels, 2);
  EXPECT_NEAR(amplitude_at(read_audio(path), 1000, 16000), 0.3, 1e-6);  // (0.2 + 0.4) / 2
}

TEST(Audio, CutsTheRangeAtTheFilesOwnRateBeforeResampling) {
  std::vector<float> ramp(16000);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i) / 16384;
  const fs::path path = write_sound("ramp.wav", ramp, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  const std::vector<float> part = read_audio(path, {0.25, 0.5});
  ASSERT_EQ(part.size(), 8000u);
  EXPECT_EQ(part.front(), ramp[4000]);
  EXPECT_EQ(part.back(), ramp[11999]);
  EXPECT_EQ(read_audio(path, {0.75, std::nullopt}).size(), 4000u);
  EXPECT_EQ(read_audio(path, {0.75, 0.5}).size(), 4000u);  // 0.25 s too long: cut
  // round(0.00003 * 16000) = round(0.48) = 0; round(0.00004 * 16000) = round(0.64) = 1
  EXPECT_EQ(read_audio(path, {0.00003, 0.1}).front(), ramp[0]);
  EXPECT_EQ(read_audio(path, {0.00004, 0.1}).front(), ramp[1]);

  const fs::path slow = write_sound("slow.wav", sine(500, 0.5, 8000, 1.0), 8000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_EQ(read_audio(slow, {0.1, 0.33}).size(), 5280u);
}

TEST(Audio, RefusesRangesOutsideTheFile) {
  const fs::path path = write_sound("second.wav", sine(500, 0.5, 8000, 1.0), 8000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_THAT(error_of([&] {
                read_audio(path, {0.75, 1.0});
              }),
              HasSubstr("second.wav: asked for 1 s from 0.75 s on, but the file has 1 s"));
  EXPECT_THAT(error_of([&] { read_audio(path, {1.0, std::nullopt}); }), HasSubstr("asked for all from 1 s on"));
  EXPECT_THAT(error_of([&] { read_audio(path, {-0.1, 0.5}); }), HasSubstr("from -0.1 s on"));
  EXPECT_THAT(error_of([&] { read_audio(path, {0.5, 0.0}); }), HasSubstr("asked for 0 s"));
}

TEST(Audio, NamesFileAndReasonOfWhatCannotBeRead) {
  write_file_atomically(temporary("text.wav"), "this is no audio\n");
  EXPECT_THAT(error_of([&] { read_audio(temporary("text.wav")); }),
              AllOf(HasSubstr("text.wav: cannot be read as audio: "), HasSubstr("Format not recognised")));
  EXPECT_THAT(error_of([&] { audio_info(temporary("nothing.wav")); }), HasSubstr("No such file"));

  // A FLAC file cut in half: its header still promises everything.
  const fs::path whole =
      write_sound("whole.flac", sine(440, 0.5, 16000, 4.0), 16000, 1, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  const std::string bytes = read_file(whole);
  write_file_atomically(temporary("half.flac"), bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(error_of([&] { read_audio(temporary("half.flac")); }), HasSubstr("half.flac: broken after "));

  std::vector<float> samples = sine(440, 0.5, 16000, 0.1);
  samples[7] = std::numeric_limits<float>::quiet_NaN();
  const fs::path nan = write_sound("nan.wav", samples, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_THAT(error_of([&] { read_audio(nan); }), HasSubstr("nan.wav: sample 7 of the range is nan"));
}

TEST(Audio, RefusesLessThanASample) {
  const fs::path path = write_sound("one.wav", {0.5f}, 44100, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_THAT(error_of([&] { read_audio(path); }), HasSubstr("one.wav: shorter than one sample at 16 kHz"));
}

TEST(Audio, WritesWhatItReads) {
  const std::vector<float> samples = sine(300, 0.7, 16000, 0.5);
  write_wav(temporary("written.wav"), samples);
  EXPECT_EQ(read_audio(temporary("written.wav")), samples);
}

TEST(Resample, RoundsTheLength) {
  EXPECT_EQ(resample(std::vector<float>(1001), 16000, 8000).size(), 501u);
  EXPECT_EQ(resample(std::vector<float>(1), 44100, 16000).size(), 0u);
  EXPECT_EQ(resample({}, 8000, 16000).size(), 0u);
}

}  // namespace
}  // namespace strata

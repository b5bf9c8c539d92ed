#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/tensor/feature_spec.h"

namespace strata {

/// What a file's header says of it; its samples are not decoded.
struct AudioInfo {
  std::int64_t rate_hz = 0;
  std::int64_t channels = 0;
  std::int64_t samples = 0;  // per channel, at rate_hz
  double duration_seconds() const { return static_cast<double>(samples) / static_cast<double>(rate_hz); }
};

/// The part of a file that is an utterance, in seconds.
struct AudioRange {
  double offset = 0;
  std::optional<double> duration;  // none: to the end of the file
};

/// Reads the header of any file that libsndfile knows (WAV, FLAC, Ogg, MP3, NIST SPHERE, ...), and of `.gsm` files: raw
/// GSM 06.10, 8 kHz mono, as Asterisk has them. Throws DataError with the file and the library's reason.
AudioInfo audio_info(const std::filesystem::path& path);

/// Decodes a file: [S] float32 at 16 kHz, full scale 1.
///   1. samples round(offset * rate) to round(offset * rate) + round(duration * rate) at the file's own rate; a range
///      that ends up to 0.5 s after the file is cut at its end (forced alignments overshoot so; Kaldi allows the same)
///   2. mean over the channels
///   3. soxr "high quality" to 16 kHz, where the rate differs: round(n * 16000 / rate) samples
/// Deterministic. Throws DataError that names the file: unreadable, broken, samples that are not finite, or a range
/// that is outside of it or empty. Thread-safe.
std::vector<float> read_audio(const std::filesystem::path& path, const AudioRange& range = {});

/// Writes mono float32 samples as a 32-bit float WAV file at `rate_hz`. Throws DataError.
void write_wav(const std::filesystem::path& path, const std::vector<float>& samples,
               std::int64_t rate_hz = kSampleRateHz);

}  // namespace strata

#include "tests/data/corpora/tree.h"

#include <gmock/gmock.h>
#include <sndfile.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "core/base/error.h"
#include "data/corpora/corpus.h"

namespace strata {

Tree::Tree(const std::string& name) : root_(fs::path(testing::TempDir()) / name) {
  fs::remove_all(root_);
  fs::create_directories(root_);
}

void Tree::text(const std::string& file, const std::string& content) const {
  write_file_atomically(root_ / file, content);
}

void Tree::tone(const std::string& file, double hz, double seconds, double amplitude) const {
  const fs::path path = root_ / file;
  fs::create_directories(path.parent_path());
  SF_INFO info = {};
  info.samplerate = 8000;
  info.channels = 1;
  info.format = path.extension() == ".gsm"   ? SF_FORMAT_RAW | SF_FORMAT_GSM610
                : path.extension() == ".ogg" ? SF_FORMAT_OGG | SF_FORMAT_VORBIS
                                             : SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  std::vector<float> samples(static_cast<std::size_t>(std::lround(8000 * seconds)));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / 8000));
  }
  SNDFILE* out = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(out, nullptr) << sf_strerror(nullptr);
  sf_writef_float(out, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(out);
}

Json prepare(const Tree& tree, const std::string& options, const fs::path& source) {
  return prepare_corpus(Json::parse(options), source, tree.root() / "manifests", "strata prepare");
}

std::string prepare_error(const Tree& tree, const std::string& options, const fs::path& source) {
  try {
    prepare(tree, options, source);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no ConfigError";
}

}  // namespace strata

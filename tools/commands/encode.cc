#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/overrides.h"
#include "core/tensor/safetensors.h"
#include "data/audio/audio.h"
#include "data/store/hdf5.h"
#include "data/store/int8.h"
#include "tools/commands/session.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string model, output, dtype = "float32";
  std::vector<std::string> audio, taps, options;
};

std::vector<std::size_t> find_taps(const Upstream& upstream, const std::vector<std::string>& names) {
  std::vector<std::size_t> indices;
  for (const std::string& name : names) {
    const auto& taps = upstream.spec().taps;
    const auto found = std::find_if(taps.begin(), taps.end(), [&](const Tap& tap) { return tap.name == name; });
    if (found == taps.end()) throw ConfigError(fmt::format("the model has no tap \"{}\"; it has {} to {}", name, taps.front().name, taps.back().name));
    indices.push_back(static_cast<std::size_t>(found - taps.begin()));
  }
  return indices;
}

int encode(const Arguments& given, const ModelSearch& search) {
  Json options = Json::object();
  for (const std::string& option : given.options) apply_override(options, option);
  const auto upstream = open_upstream(given.model, search, FieldReader(options, "strata encode", "/set"));
  const std::vector<std::string> names = given.taps.empty() ? upstream->default_taps() : given.taps;
  const std::vector<std::size_t> taps = find_taps(*upstream, names);
  for (const std::string& audio : given.audio) {
    if (!fs::is_regular_file(audio)) throw ConfigError(fmt::format("{}: there is no such audio file", audio));
  }
  const at::NoGradGuard no_grad;
  NamedTensors tensors;
  for (const std::string& path : given.audio) {
    std::vector<float> samples = read_audio(path);
    const at::Tensor wave = at::from_blob(samples.data(), {static_cast<std::int64_t>(samples.size())}, at::kFloat);
    if (upstream->in_windows(wave.size(0)))
      log_info("encode: {}: its {:.0f} s are computed in windows; --set window_seconds=0 computes them as a whole",
               path, static_cast<double>(wave.size(0)) / kSampleRateHz);
    const std::vector<at::Tensor> features = upstream->forward(wave, taps);
    for (std::size_t t = 0; t < taps.size(); ++t) {
      const std::string key = fs::path(path).stem().string() + "/" + names[t];
      if (tensors.contains(key)) throw ConfigError(fmt::format("two files have the name \"{}\", so their keys would be the same", fs::path(path).stem().string()));
      tensors[key] = features[t].to(scalar_type(hdf5::stored_type(given.dtype)));
      fmt::print("{} [{}, {}]\n", key, tensors[key].size(0), tensors[key].size(1));
    }
  }
  write_safetensors(given.output, tensors, {{"model", given.model}, {"fingerprint", upstream->fingerprint()}});
  return kExitDone;
}

}  // namespace

void add_encode(CLI::App& app, Session& session) {
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("encode", "Writes every layer of a few audio files, to look at and to compare with other software.");
  command->add_option("model", given->model, "model folder, user/name in the Hugging Face cache, or fbank, mfcc")->required();
  command->add_option("audio", given->audio, "audio files")->required();
  command->add_option("--output", given->output, "safetensors file; keys are <file stem>/<tap>, tensors [T, D]")->required();
  command->add_option("--dtype", given->dtype, "of the tensors written")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}));
  command->add_option("--taps", given->taps, "taps to write, comma-separated (default: the layer list)")->delimiter(',');
  command->add_option("--set", given->options, "key=value option of the upstream (`strata list upstreams` names them)");
  command->footer("Example:\n  strata encode models/hubert hello.wav --output hello.safetensors");
  command->callback([&session, given] { session.run = [&session, given] { return encode(*given, session.model_search()); }; });
}

}  // namespace strata

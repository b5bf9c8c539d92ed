#include "core/upstreams/folder_upstream.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <numeric>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/upstreams/autocast.h"

namespace strata {
namespace {

constexpr const char* kStem = "conv";    // tap of the stem's frames
constexpr const char* kInput = "input";  // tap of the normalised wave

// SHA-256 of the values as float32 (float64 where they are stored so), whatever the container and the stored type.
std::string hash_values(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
  return sha256({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
}

// What `compute` returns; DataError where it takes more memory than there is, since a shorter wave may do.
template <class Compute>
std::vector<at::Tensor> within_memory(const at::Tensor& wave, Compute&& compute) {
  const auto too_little = [&]() -> std::vector<at::Tensor> {
    throw DataError(
        fmt::format("there is not enough memory for {:.0f} s of audio; let the upstream compute it in "
                    "windows, with a smaller window_seconds",
                    static_cast<double>(wave.size(0)) / kSampleRateHz));
  };
  try {
    return compute();
  } catch (const std::bad_alloc&) {
    return too_little();
  } catch (const c10::Error& e) {  // LibTorch's allocator has no type of its own for it
    const std::string_view what = e.what_without_backtrace();
    if (what.find("allocate memory") == what.npos && what.find("out of memory") == what.npos) throw;
    return too_little();
  }
}

}  // namespace

FolderUpstream::FolderUpstream(Model model) : model_(std::move(model)) {
  const c10::NoGradGuard frozen;
  const WeightReader reader(std::move(model_.checkpoint), model_.place, at::kFloat, model_.spelling, model_.arithmetic,
                            model_.device);
  model_.checkpoint.clear();
  encoder_float32_ = model_.bind(reader);
  reader.finish(model_.family);
  weights_ = reader.taken();
}

std::vector<std::string> FolderUpstream::default_taps() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < model_.layer_list; ++i) names.push_back(model_.spec.taps[i].name);
  return names;
}

std::int64_t FolderUpstream::frames(std::size_t tap, std::int64_t samples) const {
  return samples < minimum_samples() ? 0 : model_.frames(tap, samples);
}

FolderUpstream::Encoder FolderUpstream::bind(const NamedTensors& weights, at::ScalarType dtype) const {
  const WeightReader reader(weights, model_.place, dtype, nullptr, at::kFloat, model_.device);
  Encoder encoder = model_.bind(reader);
  reader.finish(model_.family);
  return encoder;
}

std::int64_t FolderUpstream::stem_frames(std::int64_t samples) const {
  for (std::size_t tap = 0; tap < model_.spec.taps.size(); ++tap) {
    if (model_.spec.taps[tap].name == kStem) return frames(tap, samples);
  }
  throw InternalError("an upstream from a folder without the tap conv");
}

void FolderUpstream::run_windows(const Encoder& encoder, const Windows& windows, const at::Tensor& frames,
                                 std::int64_t samples, const std::vector<std::size_t>& taps,
                                 TapCollector& collector) const {
  std::vector<std::size_t> wanted;  // what comes after the stem
  std::vector<at::Tensor> states;
  std::int64_t slowest = model_.hop;
  for (const std::size_t index : taps) {
    const Tap& tap = model_.spec.taps[index];
    if (tap.name == kStem || tap.name == kInput) continue;
    wanted.push_back(index);
    states.push_back(at::empty({this->frames(index, samples), tap.width}, frames.options()));
  }
  for (const Tap& tap : model_.spec.taps) slowest = std::lcm(slowest, tap.hop_samples);
  for (const Window& window : cut_windows(frames.size(0), windows, slowest / model_.hop)) {
    TapCollector part(model_.spec, wanted);
    encoder.layers(frames.narrow(0, window.first, window.last - window.first), part);
    const std::vector<at::Tensor> found = std::move(part).states();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::int64_t hop = model_.spec.taps[wanted[i]].hop_samples;
      const auto at_rate = [&](std::int64_t frame) { return frame * model_.hop / hop; };
      const std::int64_t first = at_rate(window.first), keep_first = at_rate(window.keep_first);
      const bool at_end = window.keep_last == frames.size(0);
      const std::int64_t keep_last = at_end ? states[i].size(0) : at_rate(window.keep_last);
      if (at_end && first + found[i].size(0) != keep_last)
        throw DataError(
            "the rates of this model do not allow utterances as long as this one, which is cut into windows");
      states[i]
          .narrow(0, keep_first, keep_last - keep_first)
          .copy_(found[i].narrow(0, keep_first - first, keep_last - keep_first));
    }
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) collector.offer(model_.spec.taps[wanted[i]].name, states[i]);
}

std::vector<at::Tensor> FolderUpstream::run(const Encoder& encoder, const Windows& windows, const at::Tensor& wave,
                                            const std::vector<std::size_t>& taps) const {
  TapCollector collector(model_.spec, taps);
  const at::Tensor input = normalize_wave(wave.to(model_.device), model_.wave_norm);
  // A copy, for without a norm it is the caller's wave, whose memory may be gone before the features are used.
  if (collector.wants(kInput)) collector.offer(kInput, input.unsqueeze(1).clone());
  if (!collector.complete()) {
    // In 16 bits only within the products: what they are added to stays as fine as the wave.
    const at::Tensor frames = encoder.stem(input).to(wave.scalar_type());
    collector.offer(kStem, frames);
    if (!collector.complete() && windows.cut(frames.size(0))) {
      run_windows(encoder, windows, frames, wave.size(0), taps, collector);
    } else if (!collector.complete()) {
      encoder.layers(frames, collector);
    }
  }
  std::vector<at::Tensor> states = std::move(collector).states();
  for (at::Tensor& state : states) state = state.to(wave.scalar_type());  // those of products alone, such as "pos"
  return states;
}

const FolderUpstream::Encoder& FolderUpstream::encoder(at::ScalarType dtype) const {
  if (dtype == at::kFloat) return encoder_float32_;
  std::call_once(once_float64_, [&] { encoder_float64_ = bind(weights_, at::kDouble); });
  return encoder_float64_;
}

std::vector<at::Tensor> FolderUpstream::forward(const at::Tensor& wave, const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  const c10::NoGradGuard frozen;
  const Autocast lowered(model_.device, model_.arithmetic);
  return within_memory(wave, [&] { return run(encoder(wave.scalar_type()), model_.windows, wave, taps); });
}

std::vector<at::Tensor> FolderUpstream::forward_whole(const at::Tensor& wave,
                                                      const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  const c10::NoGradGuard frozen;
  const Autocast lowered(model_.device, model_.arithmetic);
  return within_memory(wave, [&] { return run(encoder(wave.scalar_type()), {}, wave, taps); });
}

std::vector<at::Tensor> FolderUpstream::forward_exact(const at::Tensor& wave,
                                                      const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  const c10::NoGradGuard frozen;
  return within_memory(wave, [&] { return run(bind(weights_, wave.scalar_type()), model_.windows, wave, taps); });
}

std::string FolderUpstream::compute() const {
  return model_.arithmetic == at::kFloat ? "float32" : model_.arithmetic == at::kBFloat16 ? "bfloat16" : "float16";
}

std::vector<at::Tensor> FolderUpstream::forward_with(const NamedTensors& weights, const at::Tensor& wave,
                                                     const std::vector<std::size_t>& taps) const {
  check_wave(wave);
  return run(bind(weights, wave.scalar_type()), model_.windows, wave, taps);
}

std::string FolderUpstream::fingerprint() const {
  std::call_once(once_fingerprint_, [&] {
    Json content = {{"family", model_.family},
                    {"features_version", model_.features_version},
                    {"config", model_.config},
                    {"windows", {{"length", model_.windows.length}, {"context", model_.windows.context}}},
                    {"wave_norm", {{"normalize", model_.wave_norm.normalize}, {"eps", model_.wave_norm.eps}}}};
    for (const auto& [name, tensor] : weights_) {
      content["weights"][name] = {{"shape", tensor.sizes().vec()}, {"sha256", hash_values(tensor)}};
    }
    fingerprint_ = sha256(content.dump());
  });
  return fingerprint_;
}

}  // namespace strata

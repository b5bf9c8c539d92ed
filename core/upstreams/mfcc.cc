#include <ATen/ops/matmul.h>
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/upstreams/spectral.h"

namespace strata {
namespace {

struct MfccOptions {
  std::int64_t num_ceps = 13;
  std::int64_t num_mel_bins = 23;
  bool deltas = false;
  bool cmvn = false;
  void fields(Fields& f) {
    f.number("num_ceps", num_ceps, "cepstra, the zeroth included; at most num_mel_bins", at_least(1));
    f.number("num_mel_bins", num_mel_bins, "triangles of the mel filter bank", between(4, 256));
    f.flag("deltas", deltas, "adds first and second differences over time (s3prl's baseline has them)");
    f.flag("cmvn", cmvn, "mean 0 and variance 1 over each utterance (s3prl's baseline has it)");
  }
};

class Mfcc : public SpectralUpstream {
 public:
  Mfcc(const MfccOptions& options, const ModelPlace&)
      : SpectralUpstream("mfcc", options.num_ceps, options.deltas, options.cmvn, options_to_json(options)),
        log_mel_(options.num_mel_bins) {
    if (options.num_ceps > options.num_mel_bins) {
      throw ConfigError(fmt::format("upstream \"mfcc\": num_ceps {} is more than num_mel_bins {}", options.num_ceps,
                                    options.num_mel_bins));
    }
    transform_ = cepstral_transform(options.num_mel_bins, options.num_ceps);
  }

 private:
  at::Tensor analyse(const at::Tensor& wave) const override {
    return at::matmul(log_mel_(wave), transform_.to(wave.scalar_type()));
  }

  LogMel log_mel_;
  at::Tensor transform_;  // [num_mel_bins, num_ceps] float64
};

STRATA_REGISTER_UPSTREAM("mfcc", MfccOptions, Mfcc, "Kaldi's mel cepstra of the same windows");

}  // namespace
}  // namespace strata

#include "core/upstreams/spectral.h"

namespace strata {
namespace {

struct FbankOptions {
  std::int64_t num_mel_bins = 80;
  bool deltas = false;
  bool cmvn = false;
  void fields(Fields& f) {
    f.number("num_mel_bins", num_mel_bins, "triangles of the mel filter bank", between(4, 256));
    f.flag("deltas", deltas, "adds first and second differences over time (s3prl's baseline has them)");
    f.flag("cmvn", cmvn, "mean 0 and variance 1 over each utterance (s3prl's baseline has it)");
  }
};

class Fbank : public SpectralUpstream {
 public:
  Fbank(const FbankOptions& options, const ModelPlace&)
      : SpectralUpstream("fbank", options.num_mel_bins, options.deltas, options.cmvn, options_to_json(options)),
        log_mel_(options.num_mel_bins) {}

 private:
  at::Tensor analyse(const at::Tensor& wave) const override { return log_mel_(wave); }

  LogMel log_mel_;
};

STRATA_REGISTER_UPSTREAM("fbank", FbankOptions, Fbank, "Kaldi's log mel filter bank, 25 ms every 10 ms");

}  // namespace
}  // namespace strata

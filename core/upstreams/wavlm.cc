#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

void wavlm_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.text("feat_extract_norm", config.feat_extract_norm, "norms of the stem", {"group", "layer"});
  f.flag("do_stable_layer_norm", config.do_stable_layer_norm, "pre-LN");
  f.number("num_buckets", config.num_buckets, "buckets of the relative position bias", at_least(8));
  f.number("max_bucket_distance", config.max_bucket_distance, "frames from which on distances share a bucket",
           at_least(4));
}

EncoderConfig wavlm_defaults() {
  EncoderConfig config;
  config.num_buckets = 320;
  config.max_bucket_distance = 800;
  return config;
}

class WavLm : public FolderUpstream {
 public:
  WavLm(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_speech_model({"wavlm", "wavlm.", wavlm_defaults(), wavlm_fields}, options, place)) {}
};

STRATA_REGISTER_UPSTREAM("wavlm", SpeechOptions, WavLm, "WavLM, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

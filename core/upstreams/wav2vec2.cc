#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

void wav2vec2_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.text("feat_extract_norm", config.feat_extract_norm, "norms of the stem", {"group", "layer"});
  f.flag("do_stable_layer_norm", config.do_stable_layer_norm, "pre-LN");
}

class Wav2Vec2 : public FolderUpstream {
 public:
  Wav2Vec2(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_speech_model({"wav2vec2", "wav2vec2.", {}, wav2vec2_fields}, options, place)) {}
};

STRATA_REGISTER_UPSTREAM("wav2vec2", SpeechOptions, Wav2Vec2,
                         "wav2vec 2.0 and XLS-R, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

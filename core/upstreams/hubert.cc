#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

void hubert_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.text("feat_extract_norm", config.feat_extract_norm, "norms of the stem", {"group", "layer"});
  f.flag("feat_proj_layer_norm", config.feat_proj_layer_norm,
         "layer norm before the projection; DistilHuBERT has none");
  f.flag("do_stable_layer_norm", config.do_stable_layer_norm, "pre-LN");
  f.flag("conv_pos_batch_norm", config.conv_pos_batch_norm,
         "batch norm in place of weight norm in the positional convolution");
}

class Hubert : public FolderUpstream {
 public:
  Hubert(const SpeechOptions& options, const std::filesystem::path& folder)
      : FolderUpstream(read_speech_model({"hubert", "hubert.", {}, hubert_fields}, options, folder)) {}
};

STRATA_REGISTER_UPSTREAM("hubert", SpeechOptions, Hubert,
                         "HuBERT and DistilHuBERT, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

void data2vec_fields(EncoderConfig& config, Fields& f) {
  common_encoder_fields(config, f);
  f.number("conv_pos_kernel_size", config.conv_pos_kernel_size,
           "kernel of the positional blocks, of which there are num_conv_pos_embeddings", at_least(1));
}

// The layer stem and post-LN are not in its config.json: there is no other data2vec-audio.
EncoderConfig data2vec_defaults() {
  EncoderConfig config;
  config.feat_extract_norm = "layer";
  config.num_conv_pos_embeddings = 5;
  config.conv_pos_kernel_size = 19;
  return config;
}

class Data2VecAudio : public FolderUpstream {
 public:
  Data2VecAudio(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_speech_model({"data2vec-audio", "data2vec_audio.", data2vec_defaults(), data2vec_fields},
                                         options, place)) {}
};

STRATA_REGISTER_UPSTREAM("data2vec-audio", SpeechOptions, Data2VecAudio,
                         "data2vec's audio model, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

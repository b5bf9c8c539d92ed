#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

class Data2VecAudio : public FolderUpstream {
 public:
  Data2VecAudio(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_speech_model({"data2vec-audio", "data2vec_audio.", data2vec_config(), data2vec_fields},
                                         options, place)) {}
};

STRATA_REGISTER_UPSTREAM("data2vec-audio", SpeechOptions, Data2VecAudio,
                         "data2vec's audio model, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

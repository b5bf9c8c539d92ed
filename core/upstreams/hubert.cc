#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

class Hubert : public FolderUpstream {
 public:
  Hubert(const SpeechOptions& options, const ModelPlace& place)
      : FolderUpstream(read_speech_model({"hubert", "hubert.", {}, hubert_fields}, options, place)) {}
};

STRATA_REGISTER_UPSTREAM("hubert", SpeechOptions, Hubert,
                         "HuBERT and DistilHuBERT, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

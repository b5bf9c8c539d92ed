#include "core/upstreams/speech_family.h"

namespace strata {
namespace {

class Hubert : public FolderUpstream {
 public:
  Hubert(const SpeechOptions& options, const std::filesystem::path& folder)
      : FolderUpstream(read_speech_model({"hubert", "hubert.", {}, hubert_fields}, options, folder)) {}
};

STRATA_REGISTER_UPSTREAM("hubert", SpeechOptions, Hubert,
                         "HuBERT and DistilHuBERT, from a folder in Hugging Face's form");

}  // namespace
}  // namespace strata

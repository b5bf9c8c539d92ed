#include "trainers/tasks/utterance_classification.h"

namespace strata {
namespace {

/// Speaker identification in a closed set.
class Sid : public UtteranceClassification {
 public:
  Sid(const TaskOptions& options, const Corpus& corpus) : UtteranceClassification("sid", "speaker", options, corpus) {}
};

STRATA_REGISTER_TASK("sid", TaskOptions, Sid, "speaker identification: field `speaker`, accuracy");

}  // namespace
}  // namespace strata

#include "trainers/tasks/utterance_classification.h"

namespace strata {
namespace {

/// Language identification. A split means something only if the voices of test are not in train.
class Lid : public UtteranceClassification {
 public:
  Lid(const TaskOptions& options, const Corpus& corpus) : UtteranceClassification("lid", "language", options, corpus) {}
};

STRATA_REGISTER_TASK("lid", TaskOptions, Lid, "language identification: field `language`, accuracy");

}  // namespace
}  // namespace strata

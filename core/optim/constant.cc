#include "core/optim/schedule.h"

namespace strata {
namespace {

class Constant : public Schedule {
 public:
  Constant(const NoOptions&, std::int64_t) {}
  double factor(std::int64_t) const override { return 1.0; }
};

STRATA_REGISTER_SCHEDULE("constant", NoOptions, Constant, "the same learning rate throughout, as in all of SUPERB");

}  // namespace
}  // namespace strata

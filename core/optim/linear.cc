#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/optim/schedule.h"

namespace strata {
namespace {

struct LinearOptions {
  std::int64_t warmup_steps = 0;

  void fields(Fields& f) {
    f.number("warmup_steps", warmup_steps, "updates over which the rate rises from 0", at_least(0));
  }
};

/// Rises from 0 at the first update to 1 at update `warmup_steps`, then falls to 0 one update after the last
/// (s3prl's linear_schedule_with_warmup). Throws ConfigError if the warm-up is longer than the training.
class Linear : public Schedule {
 public:
  Linear(const LinearOptions& options, std::int64_t total_steps) : warmup_(options.warmup_steps), total_(total_steps) {
    if (warmup_ > total_) {
      throw ConfigError(
          fmt::format("schedule linear: warmup_steps {} is more than the {} steps of training", warmup_, total_));
    }
  }

  double factor(std::int64_t update) const override {
    if (update < warmup_) return static_cast<double>(update) / static_cast<double>(warmup_);
    const double left = static_cast<double>(total_ - update);
    return std::max(0.0, left / static_cast<double>(std::max<std::int64_t>(1, total_ - warmup_)));
  }

 private:
  std::int64_t warmup_;
  std::int64_t total_;
};

STRATA_REGISTER_SCHEDULE("linear", LinearOptions, Linear, "linear warm-up from 0, then linear decay to 0");

}  // namespace
}  // namespace strata

#pragma once

#include <cstdint>

#include "core/config/registry.h"

namespace strata {

/// The learning rate of each update as a factor on the optimizer's. Immutable.
class Schedule {
 public:
  static constexpr const char* kKind = "schedule";
  virtual ~Schedule() = default;

  ///   update  0-based; one that was skipped counts too
  virtual double factor(std::int64_t update) const = 0;
};

/// Made for the number of updates of the whole training.
using ScheduleRegistry = Registry<Schedule, std::int64_t>;

#define STRATA_REGISTER_SCHEDULE(name, Options, Class, summary) \
  [[maybe_unused]] static const bool registered_##Class =       \
      ::strata::ScheduleRegistry::add_variant<Options, Class>(name, summary)

}  // namespace strata

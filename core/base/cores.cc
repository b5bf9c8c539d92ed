#include "core/base/cores.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

namespace strata {

int node_cores() {
  cpu_set_t all;
  std::memset(&all, 0xff, sizeof all);
  sched_setaffinity(0, sizeof all, &all);  // the kernel keeps what the cpuset allows
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::max(1, CPU_COUNT(&allowed));
}

int share_of_cores(int local_size) { return std::max(1, node_cores() / std::max(1, local_size)); }

}  // namespace strata

#pragma once

namespace strata {

/// The cores that this process may use on its node once a launcher's binding is lifted: Open MPI binds each rank to one
/// core when there are two ranks or fewer, which says nothing about the job's share. What the job as a whole was given
/// (cgroup, cpuset) still holds.
int node_cores();

/// The cores of a rank that shares its node with `local_size` - 1 others; at least 1. Lifts the binding of the calling
/// process, so that its threads can use them.
int share_of_cores(int local_size);

}  // namespace strata

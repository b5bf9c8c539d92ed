#pragma once

#include <memory>

#include "distributed/collectives.h"

namespace strata {

/// Collectives between GPUs, one per rank of `group`; a communicator of NCCL of its own, aborted if an operation fails.
/// Collective. Throws CommError with NCCL's text, ConfigError in a build whose LibTorch came without NCCL.
std::unique_ptr<Collectives> make_nccl_collectives(const at::Device& device, const Communicator& group);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "core/upstreams/upstream.h"
#include "data/store/hdf5.h"

namespace strata {

/// An utterance's features as a store keeps them: `upstream.forward`, where taps of one rate have as many frames as the
/// upstream's first tap of that rate (the decoders of MR-HuBERT give one more for every other length).
///   wave     as `forward` takes it
///   taps     indices into the upstream's spec
///   type     of the store; the features come in the wave's type all the same
///   returns  one contiguous [T, D] per index, on the upstream's device
/// Throws DataError as `forward`, and, naming tap and type, for a value that is not finite or that `type` cannot hold.
std::vector<at::Tensor> features_to_store(const Upstream& upstream, const at::Tensor& wave,
                                          const std::vector<std::size_t>& taps, hdf5::StoredType type);

}  // namespace strata

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/ScalarType.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace strata {

/// While it lives, this thread computes on a GPU as PyTorch's autocast does: products, convolutions and attention in
/// `arithmetic`, norms in float32. Nothing changes for float32 or on a CPU, where PackedProduct has its own way.
/// Trained weights are lowered once while it lives.
class Autocast {
 public:
  Autocast(c10::Device device, at::ScalarType arithmetic);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::Device device_;
  bool lowered_;
};

/// While it lives, this thread computes in its tensors' own types whatever an Autocast says: for losses.
class FullPrecision {
  c10::impl::ExcludeDispatchKeyGuard exact_{c10::autocast_dispatch_keyset};
};

/// What an Autocast lowered, in float32; any other tensor as it is.
at::Tensor unlowered(const at::Tensor& x);

}  // namespace strata

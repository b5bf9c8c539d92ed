#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace strata {

/// While it lives, this thread computes on a GPU as PyTorch's autocast does: products, convolutions and attention in
/// `arithmetic`, norms in float32. Nothing changes for float32 or on a CPU, where PackedProduct has its own way.
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

}  // namespace strata

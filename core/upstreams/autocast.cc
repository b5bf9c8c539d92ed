#include "core/upstreams/autocast.h"

#include <ATen/autocast_mode.h>

namespace strata {

Autocast::Autocast(c10::Device device, at::ScalarType arithmetic)
    : device_(device), lowered_(device.is_cuda() && arithmetic != at::kFloat) {
  if (!lowered_) return;
  at::autocast::set_autocast_dtype(device_.type(), arithmetic);
  at::autocast::set_autocast_enabled(device_.type(), true);
}

Autocast::~Autocast() {
  if (!lowered_) return;
  at::autocast::set_autocast_enabled(device_.type(), false);
  at::autocast::clear_cache();  // of weights that the next update changes
}

at::Tensor unlowered(const at::Tensor& x) { return x.to(c10::promoteTypes(x.scalar_type(), at::kFloat)); }

}  // namespace strata

#include "trainers/training/fitting.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

namespace strata {
namespace {

constexpr std::size_t kAhead = 2;  // utterances of a rank that are read from disk while one is added

/// The fits of a model's interfaces, begun; nullptr where there is nothing to fit.
std::vector<std::unique_ptr<InterfaceFit>> begin_fits(const Model& model, const FeatureBatch& first) {
  std::vector<std::unique_ptr<InterfaceFit>> fits;
  for (std::size_t i = 0; i < model.interfaces().size(); ++i) {
    fits.push_back(model.interfaces()[i]->begin_fit(first.features[i][0]));
  }
  return fits;
}

/// `tensor` as it is on rank 0, where `value` is.
at::Tensor from_rank_0(const ParameterSpec& spec, const at::Tensor& value, const Communicator& group) {
  at::Tensor tensor = at::empty(spec.shape, at::kFloat);
  if (value.defined()) tensor.copy_(value);
  const std::string bytes =
      group.broadcast(std::string(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()), 0);
  std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

Parameters fit_interfaces(const Model& model, const BatchSource& frames, const std::vector<std::string>& ids,
                          const Communicator& group) {
  const auto size = static_cast<std::size_t>(group.size());
  auto asked = static_cast<std::size_t>(group.rank());
  const auto ask_until = [&](std::size_t last) {
    for (; asked < std::min(last + 1, ids.size()); asked += size) frames.prefetch({ids[asked]});
  };
  frames.prefetch({ids.front()});  // which every rank takes its widths from
  ask_until(asked);
  const auto fits = begin_fits(model, frames.load({ids.front()}));
  for (auto u = static_cast<std::size_t>(group.rank()); u < ids.size(); u += size) {
    ask_until(u + kAhead * size);
    const FeatureBatch one = frames.load({ids[u]});
    for (std::size_t i = 0; i < fits.size(); ++i) {
      if (fits[i]) fits[i]->add(one.features[i][0]);
    }
  }
  Parameters all;
  for (std::size_t i = 0; i < fits.size(); ++i) {
    if (!fits[i]) continue;
    at::Tensor& sums = fits[i]->sums();
    group.all_reduce_sum(std::span(sums.mutable_data_ptr<double>(), static_cast<std::size_t>(sums.numel())));
    Parameters result;
    together(group, [&] {
      if (group.rank() == 0) result = fits[i]->result();
    });
    for (const ParameterSpec& spec : model.interfaces()[i]->fitted()) {
      const at::Tensor value = group.rank() == 0 ? result[spec.name] : at::Tensor();
      all.add(fmt::format("interface.{}.{}", i, spec.name), from_rank_0(spec, value, group));
    }
  }
  return all;
}

}  // namespace strata

#include "core/model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "core/base/error.h"

namespace strata {

Model::Model(const ModelParts& parts, const std::vector<InterfaceInput>& upstreams, std::int64_t classes) {
  FusionInput input;
  for (const InterfaceInput& upstream : upstreams) {
    interfaces_.push_back(InterfaceRegistry::make(parts.interface, upstream));
    input.layers.push_back(upstream.layers);
    input.widths.push_back(upstream.width);
    input.interface_widths.push_back(interfaces_.back()->output_width());
  }
  fusion_ = FusionRegistry::make(parts.fusion, input);
  for (std::size_t j = 0; j < fusion_->heads(); ++j) {
    heads_.push_back(HeadRegistry::make(parts.head, HeadInput{fusion_->head_width(j), classes}));
  }
}

std::string Model::interface_prefix(std::size_t i) const { return fmt::format("interface.{}", i); }

std::string Model::head_prefix(std::size_t j) const { return heads_.size() == 1 ? "head" : fmt::format("head.{}", j); }

std::vector<ParameterSpec> Model::parameters() const {
  std::vector<ParameterSpec> all;
  const auto append = [&](const std::string& prefix, std::vector<ParameterSpec> specs) {
    for (ParameterSpec& spec : with_prefix(prefix, std::move(specs))) all.push_back(std::move(spec));
  };
  for (std::size_t i = 0; i < interfaces_.size() && fusion_->uses_interfaces(); ++i) {
    append(interface_prefix(i), interfaces_[i]->parameters());
  }
  append("fusion", fusion_->parameters());
  for (std::size_t j = 0; j < heads_.size(); ++j) append(head_prefix(j), heads_[j]->parameters());
  return all;
}

bool Model::uses_time_means_only() const {
  bool means = fusion_->affine_per_frame();
  // The mean of normalised features is not the normalised mean.
  for (const auto& interface : interfaces_) means = means && interface->affine_per_frame() && !interface->normalizes();
  for (const auto& head : heads_) means = means && head->uses_time_mean_only();
  return means;
}

void Model::check(const std::vector<at::Tensor>& features, const at::Tensor& lengths) const {
  if (features.size() != interfaces_.size()) {
    throw ShapeError(
        fmt::format("model: expected features of {} upstreams, found {}", interfaces_.size(), features.size()));
  }
  for (const at::Tensor& x : features) {
    if (x.dim() != 4 || x.size(0) != lengths.size(0) || x.size(1) != features[0].size(1)) {
      throw ShapeError(fmt::format("model: expected [{}, {}, L, D] of each upstream, found {}", lengths.size(0),
                                   features[0].size(1), x.sizes().vec()));
    }
  }
}

at::Tensor Model::forward(const Parameters& parameters, const std::vector<at::Tensor>& features,
                          const at::Tensor& lengths) const {
  return run(parameters, features, lengths, nullptr);
}

at::Tensor Model::forward_in_training(const Parameters& parameters, const std::vector<at::Tensor>& features,
                                      const at::Tensor& lengths, const UtteranceKeys& keys) const {
  return run(parameters, features, lengths, &keys);
}

at::Tensor Model::run(const Parameters& parameters, const std::vector<at::Tensor>& features, const at::Tensor& lengths,
                      const UtteranceKeys* keys) const {
  check(features, lengths);
  const FusionParts parts = {[&](std::size_t i, const at::Tensor& x) {
                               return interfaces_[i]->forward(parameters.scope(interface_prefix(i)), x);
                             },
                             [&](std::size_t j, const at::Tensor& x) {
                               const Parameters own = parameters.scope(head_prefix(j));
                               return keys == nullptr ? heads_[j]->forward(own, x, lengths)
                                                      : heads_[j]->forward_in_training(own, x, lengths, *keys);
                             }};
  return fusion_->forward(parameters.scope("fusion"), features, parts);
}

}  // namespace strata

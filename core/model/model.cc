#include "core/model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "core/base/error.h"
#include "core/base/random.h"

namespace strata {
namespace {

std::string interface_prefix(std::size_t i) { return fmt::format("interface.{}", i); }

/// What head `j` draws its dropout from. Head 0 takes the keys as they are.
UtteranceKeys keys_of_head(const UtteranceKeys& keys, std::size_t j) {
  UtteranceKeys own;
  for (const std::uint64_t key : keys) own.push_back(j == 0 ? key : RandomStream({key, j}).next());
  return own;
}

}  // namespace

Model::Model(const ModelParts& parts, const std::vector<InterfaceInput>& upstreams, std::int64_t classes)
    : upstreams_(upstreams.size()) {
  FusionInput input;
  const Json type = FieldReader(parts.fusion).require("type");
  const bool by_interfaces = !type.is_string() || !fusions_without_interfaces().contains(type.get<std::string>());
  for (const InterfaceInput& upstream : upstreams) {
    input.layers.push_back(upstream.layers);
    input.widths.push_back(upstream.width);
    if (!by_interfaces) continue;
    interfaces_.push_back(InterfaceRegistry::make(parts.interface, upstream));
    input.interface_widths.push_back(interfaces_.back()->output_width());
  }
  fusion_ = FusionRegistry::make(parts.fusion, input);
  for (std::size_t j = 0; j < fusion_->heads(); ++j) {
    heads_.push_back(HeadRegistry::make(parts.head, HeadInput{fusion_->head_width(j), classes}));
  }
  fusion_->check_output(output());
}

std::string Model::head_prefix(std::size_t j) const { return heads_.size() == 1 ? "head" : fmt::format("head.{}", j); }

std::vector<ParameterSpec> Model::parameters() const {
  std::vector<ParameterSpec> all;
  const auto append = [&](const std::string& prefix, std::vector<ParameterSpec> specs) {
    for (ParameterSpec& spec : with_prefix(prefix, std::move(specs))) all.push_back(std::move(spec));
  };
  for (std::size_t i = 0; i < interfaces_.size(); ++i) append(interface_prefix(i), interfaces_[i]->parameters());
  append("fusion", fusion_->parameters());
  for (std::size_t j = 0; j < heads_.size(); ++j) append(head_prefix(j), heads_[j]->parameters());
  return all;
}

std::vector<ParameterSpec> Model::fitted() const {
  std::vector<ParameterSpec> all;
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    for (ParameterSpec& spec : with_prefix(interface_prefix(i), interfaces_[i]->fitted()))
      all.push_back(std::move(spec));
  }
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
  if (features.size() != upstreams_) {
    throw ShapeError(fmt::format("model: expected features of {} upstreams, found {}", upstreams_, features.size()));
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

FusionParts Model::parts(const Parameters& parameters, const at::Tensor& lengths) const {
  return parts(parameters, lengths, nullptr);
}

FusionParts Model::parts(const Parameters& parameters, const at::Tensor& lengths, const UtteranceKeys* keys) const {
  return {[this, parameters](std::size_t i, const at::Tensor& x) {
            return interfaces_[i]->forward(parameters.scope(interface_prefix(i)), x);
          },
          [this, parameters, lengths, keys](std::size_t j, const at::Tensor& x) {
            const Parameters own = parameters.scope(head_prefix(j));
            return keys == nullptr ? heads_[j]->forward(own, x, lengths)
                                   : heads_[j]->forward_in_training(own, x, lengths, keys_of_head(*keys, j));
          }};
}

Parameters Model::mixing_weights(const Parameters& parameters) const {
  Parameters all;
  const auto append = [&](const std::string& prefix, const auto& part) {
    const Parameters weights = part.mixing_weights(parameters.scope(prefix));
    for (const auto& [name, values] : weights.items()) all.add(prefix + "." + name, values);
  };
  for (std::size_t i = 0; i < interfaces_.size(); ++i) append(interface_prefix(i), *interfaces_[i]);
  append("fusion", *fusion_);
  return all;
}

std::map<std::string, std::int64_t> Model::parameter_counts() const {
  std::map<std::string, std::int64_t> counts = {{"interface", 0}, {"fusion", 0}, {"head", 0}};
  for (const ParameterSpec& spec : parameters()) counts[spec.name.substr(0, spec.name.find('.'))] += spec.elements();
  return counts;
}

at::Tensor Model::run(const Parameters& parameters, const std::vector<at::Tensor>& features, const at::Tensor& lengths,
                      const UtteranceKeys* keys) const {
  check(features, lengths);
  return fusion_->forward(parameters.scope("fusion"), features, parts(parameters, lengths, keys));
}

}  // namespace strata

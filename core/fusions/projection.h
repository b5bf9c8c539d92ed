#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/fields.h"
#include "core/tensor/parameters.h"

namespace strata {

/// The option of fusions that add up what models of unequal widths give.
struct ProjectionOptions {
  std::int64_t project_to = 0;

  void fields(Fields& f) {
    f.number("project_to", project_to,
             "common width, reached by a learned affine map for each upstream; 0: no map, widths must be equal",
             at_least(0));
  }
};

/// An affine map per model to a common width, or none.
///   align.<i>.{weight, bias}  [project_to, width i], [project_to]; only if `project_to` is not 0
class Projection {
 public:
  /// `fusion` is named in errors. Throws ConfigError if there are no maps and widths differ.
  Projection(const std::string& fusion, const ProjectionOptions& options, std::vector<std::int64_t> widths);

  /// The common width.
  std::int64_t width() const { return project_to_ == 0 ? widths_.front() : project_to_; }
  std::vector<ParameterSpec> parameters() const;

  ///   x        [.., width of model i]
  ///   share    what the bias is multiplied with (a scalar tensor); undefined: 1
  ///   returns  [.., width()]: x W_i^T + share * b_i, or x if there are no maps
  at::Tensor apply(const Parameters& parameters, std::size_t i, const at::Tensor& x,
                   const at::Tensor& share = {}) const;

 private:
  std::int64_t project_to_;
  std::vector<std::int64_t> widths_;
};

}  // namespace strata

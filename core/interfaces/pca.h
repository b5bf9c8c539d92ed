#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace strata {

/// What a principal component analysis of vectors of N numbers leaves, float64.
struct PrincipalAxes {
  at::Tensor mean;                // [N]
  at::Tensor components;          // [H, N] orthonormal rows, largest variance first; the entry of largest magnitude of
                                  // each is positive
  at::Tensor explained_variance;  // [H], divisor (vectors - 1)
  at::Tensor total_variance;      // [1]
};

/// Sums over vectors x from which their mean and covariance follow. They are kept of x - pivot, so that a large mean
/// costs no digits, in one additive buffer [1 + N + N * N] float64: count, sum, sum of outer products. Not thread-safe.
class CovarianceSums {
 public:
  ///   pivot  [N] float64, the same wherever sums are to be added up; best near the mean
  explicit CovarianceSums(at::Tensor pivot);

  ///   x  [M, N] floating point
  void add(const at::Tensor& x);

  at::Tensor& buffer() { return buffer_; }

  /// The `axes` leading ones. Throws DataError if there are fewer than axes + 1 vectors. One N x N eigenproblem: 9,984
  /// numbers (13 layers of 768) take 2.4 GB and some minutes.
  PrincipalAxes principal_axes(std::int64_t axes) const;

 private:
  at::Tensor pivot_;
  at::Tensor buffer_;
};

}  // namespace strata

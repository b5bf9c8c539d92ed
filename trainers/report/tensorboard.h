#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include "core/base/file.h"
#include "core/config/json.h"

namespace strata {

/// Writes the evaluations of one trial as TensorBoard reads them: an event file (TFRecord framing, tensorflow.Event messages)
/// that grows while the trial runs.
class TensorboardWriter {
 public:
  /// Begins a file of its own in `folder` and removes those that are there: a trial that continues writes all it knows again.
  ///   description  shown on the "text" page, since a trial's id says little
  ///   start        seconds since 1970 at which the trial began to train
  /// Throws FileError.
  TensorboardWriter(const fs::path& folder, const std::string& description, double start);

  /// Appends an object of `Trainer::history()` at its step: train/*, dev/* and, an element each, weights/*. Values that are
  /// not numbers are left out. Throws FileError.
  void add(const Json& evaluation);

 private:
  void append(std::int64_t step, double wall_time, const std::string& summary);

  const fs::path path_;
  const double start_;
  std::ofstream out_;
};

}  // namespace strata

#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "trainers/report/table.h"

namespace strata {

/// The state of the trials that have a checkpoint under OUTPUT/banks, by trial id: "step", "history" (evaluations so
/// far), ... A checkpoint that cannot be read is left out: the run that owns it may be replacing it.
std::map<std::string, Json> running_states(const std::filesystem::path& output);

/// A trial's evaluations so far: trials/<id>/metrics.jsonl if it is done, else from its checkpoint; empty if there is
/// none. Throws DataError if metrics.jsonl is broken.
Curve read_curve(const TrialResult& trial, const std::map<std::string, Json>& running);

/// Fills `curves` and `still_improving` of every cell.
void read_curves(ResultTable& table);

/// The mean curve at the steps that all curves have.
Curve mean_curve(const std::vector<Curve>& curves);

/// Whether training longer promises better values of dev. Two signs:
///   1. the best value is the last one, and there are several;
///   2. with 8 evaluations or more: the mean of the last quarter is better than that of the quarter before by more than
///   twice
///      its standard error, sqrt(2 / n) s, n evaluations a quarter. s is the scatter of one evaluation: the standard
///      deviation of differences between neighbours in the last half over sqrt(2), so that a steady slope is no
///      scatter.
bool still_improving(const std::vector<double>& values, bool higher_is_better);

}  // namespace strata

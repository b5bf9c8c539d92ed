#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainers/report/results.h"

namespace strata {

/// One trial's evaluations in the order of steps; NaN where a value was not finite.
struct Curve {
  std::vector<double> steps;
  std::vector<double> dev;         // the metric that chooses checkpoints
  std::vector<double> train_loss;  // mean since the evaluation before
};

/// One entry of the papers' table: a setting (everything but learning rate and seed) with its best learning rate by
/// dev.
struct TableCell {
  double learning_rate = 0;      // best by the mean over seeds on dev
  std::string edge;              // "lowest" or "highest" if the best learning rate is that one of several tried
  bool still_improving = false;  // see still_improving(); set by read_curves
  bool best = false;             // no other setting of the task has a better mean on test
  double mean = 0;               // test, over seeds
  double spread = 0;             // sample standard deviation over seeds; 0 for one
  std::int64_t seeds = 0;        // 0: nothing is done yet
  std::int64_t trials = 0;       // of the setting, at any learning rate; 0: the study has none
  std::int64_t unfinished = 0;   // of them, not done
  /// Those done at the best learning rate; while none is done, those running. Of the StudyResults the table was made
  /// of.
  std::vector<const TrialResult*> shown;
  std::vector<Curve> curves;  // of `shown`; set by read_curves
};

struct TableColumn {
  std::string task;
  ResultMetric metric;
};

struct TableRow {
  std::string upstream;   // "hubert", "hubert+wavlm"
  std::string interface;  // "weighted_sum", "hconv (kernel_size=5, stride=3) | concat", whatever else sets it apart
  std::string name() const { return upstream + " | " + interface; }
};

/// The table as papers print it: rows are upstream, interface and fusion; columns are tasks.
struct ResultTable {
  std::vector<TableColumn> columns;
  std::vector<TableRow> rows;
  std::vector<std::vector<TableCell>> cells;  // by row, column
};

/// From the results alone, which must outlive the table.
ResultTable make_table(const StudyResults& results);

/// A trial's row, as long as nothing but learning rate and seed differs within it.
TableRow plain_row(const TrialResult& trial);
double learning_rate(const TrialResult& trial);

/// Mean and sample standard deviation (0 for one value).
double mean_of(const std::vector<double>& values);
double spread_of(const std::vector<double>& values);

/// "92.02 ± 0.82", "–" if nothing is done.
std::string value_text(const TableCell& cell, const ResultMetric& metric);

/// What a reader must know besides the numbers, a sentence each: best learning rates at the edge of their grid, curves
/// that still improve, trials that are missing or failed, combinations that do not apply.
std::vector<std::string> table_warnings(const StudyResults& results, const ResultTable& table);

/// "3 of 48 trials are done, 2 are running, ..": one line.
std::string progress_text(const StudyResults& results);

}  // namespace strata

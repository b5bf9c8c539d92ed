#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainers/report/results.h"

namespace strata {

/// One entry of the papers' table: a setting (everything but learning rate and seed) with its best learning rate by dev.
struct TableCell {
  std::string metric;           // "accuracy"
  bool percent = true;          // shown times 100
  double learning_rate = 0;     // best by the mean over seeds on dev
  bool at_edge = false;         // the best learning rate is the lowest or highest of several tried
  double mean = 0;              // test, over seeds
  double spread = 0;            // sample standard deviation over seeds; 0 for one
  std::int64_t seeds = 0;
  std::int64_t unfinished = 0;  // trials of the setting that are not done, at any learning rate
};

/// The table as papers print it: rows are upstream, fusion and interface; columns are tasks.
struct ResultTable {
  std::vector<std::string> tasks;
  std::vector<std::string> rows;                                  // "hubert | weighted_sum"
  std::map<std::pair<std::string, std::string>, TableCell> cells; // by row, task; none where nothing is done
};

ResultTable make_table(const StudyResults& results);

/// Markdown: the table, then warnings (best learning rate at the edge of its grid), failed and missing trials.
std::string markdown_report(const StudyResults& results);

}  // namespace strata

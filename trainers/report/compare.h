#pragma once

#include <string>

#include "core/base/file.h"
#include "trainers/report/results.h"

namespace strata {

/// Two trials side by side, in Markdown: the settings in which they differ, their numbers, and, where both tested the same
/// utterances, how many only one of them got right, with the two-sided p of the exact sign test.
///   a, b  folders OUTPUT/trials/<id>; the outputs may differ
/// Throws ConfigError if one is no finished trial, DataError if a record is broken.
std::string compare_trials(const fs::path& a, const fs::path& b);

/// Two studies side by side, in Markdown: each cell of their tables (table.h) that either has.
std::string compare_studies(const StudyResults& a, const StudyResults& b);

/// Two-sided p of the exact sign test: how often a fair coin, thrown first + second times, falls at least as unevenly.
double sign_test(std::int64_t first, std::int64_t second);

}  // namespace strata

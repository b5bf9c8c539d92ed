#include "trainers/report/compare.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/study/study.h"

namespace strata {
namespace {

bool is_trial(const fs::path& path) { return fs::exists(path / "trial.json"); }

StudyResults load_study(const fs::path& path) { return load_results(fs::is_directory(path) ? path : read_study(path, {}).output); }

int compare(const std::string& a, const std::string& b) {
  if (is_trial(a) != is_trial(b)) throw ConfigError(fmt::format("{} is a trial, {} is none; give two trials or two studies", is_trial(a) ? a : b, is_trial(a) ? b : a));
  fmt::print("{}", is_trial(a) ? compare_trials(a, b) : compare_studies(load_study(a), load_study(b)));
  return kExitDone;
}

}  // namespace

void add_compare(CLI::App& app, Session& session) {
  struct Arguments {
    std::string a, b;
  };
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("compare", "Two trials, or two studies, side by side.");
  command->add_option("a", given->a, "folder OUTPUT/trials/<trial id>, or a study's output or file")->required();
  command->add_option("b", given->b, "another of the same kind")->required();
  command->footer("Example:\n  strata compare runs/quick/trials/0f9e1ce63a8a67fe runs/quick/trials/485a355396ba64ea");
  command->callback([&session, given] { session.run = [given] { return compare(given->a, given->b); }; });
}

}  // namespace strata

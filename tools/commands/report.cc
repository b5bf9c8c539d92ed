#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tools/commands/session.h"
#include "trainers/report/results.h"
#include "trainers/report/write.h"
#include "trainers/study/study.h"

namespace strata {
namespace {

struct Arguments {
  std::vector<std::string> paths;
  std::string folder;
  std::string format = "markdown";
};

int report(const Arguments& given) {
  // key=value changes the study file before it, as it did for `sweep`.
  std::vector<StudyResults> parts;
  for (auto path = given.paths.begin(); path != given.paths.end();) {
    const auto next = std::find_if(path + 1, given.paths.end(), [](const std::string& s) { return s.find('=') == s.npos || fs::exists(s); });
    const std::vector<std::string> overrides(path + 1, next);
    if (fs::is_directory(*path) && !overrides.empty()) throw ConfigError(fmt::format("{} changes a study, but {} is an output", overrides.front(), *path));
    parts.push_back(load_results(fs::is_directory(*path) ? fs::path(*path) : read_study(*path, overrides).output));
    path = next;
  }
  const StudyResults results = merge_results(std::move(parts));
  const bool one = results.outputs.size() == 1;
  // One study's report lies with it; a report of several belongs to none of them.
  const fs::path folder = !given.folder.empty() ? fs::path(given.folder)
                          : one                 ? results.outputs.front() / "report"
                                                : fs::path("report");
  const fs::path rows = one && given.folder.empty() ? results.outputs.front() / "results.csv" : folder / "results.csv";
  const std::string all_trials = results_csv(results);
  write_file_atomically(rows, all_trials);
  const ReportTexts texts = write_report(results, folder);
  fmt::print("{}", given.format == "markdown" ? texts.markdown
                   : given.format == "csv"    ? texts.csv
                   : given.format == "latex"  ? texts.latex
                                              : texts.html);
  log_info("written: {} with report.html, and {}", folder.string(), rows.string());
  return kExitDone;
}

}  // namespace

void add_report(CLI::App& app, Session& session) {
  const auto given = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "report", "Prints results as papers do, and writes tables and figures to OUTPUT/report and OUTPUT/results.csv.");
  command
      ->add_option("paths", given->paths,
                   "outputs of studies, or their study files (key=value behind a file changes it); they may be running; several are put together")
      ->required();
  command->add_option("--format", given->format, "what is printed; the files are written in all formats")
      ->check(CLI::IsMember({"markdown", "csv", "latex", "html"}));
  command->add_option("--output", given->folder,
                      "folder to write to (default: OUTPUT/report; `report` for several studies)");
  command->footer("Example:\n  strata report runs/quick\n  strata report runs/part_* --output runs/all");
  command->callback([&session, given] { session.run = [given] { return report(*given); }; });
}

}  // namespace strata
